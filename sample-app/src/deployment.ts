import type { GivenSettings } from 'signalbox';
import { StartError } from './settings.js';

/** The settings for the proxies and the balancer in front of this process: by default there are none. */
export function readDeployment(env: NodeJS.ProcessEnv): GivenSettings {
  const proxies = env.TRUSTED_PROXIES?.split(',').map((proxy) => proxy.trim());
  return {
    ...(proxies ? { trustedProxies: proxies.filter(Boolean) } : {}),
    ...(env.DRAIN_DELAY ? { drain: { delay: readDelay(env.DRAIN_DELAY) } } : {}),
  };
}

function readDelay(text: string): number {
  const delay = Number(text);
  if (Number.isInteger(delay) && delay >= 0 && delay < 28_000) return delay;
  throw new StartError(`DRAIN_DELAY is ${JSON.stringify(text)}, which is not a number of milliseconds below 28000.`);
}
