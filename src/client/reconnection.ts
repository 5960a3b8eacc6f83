import type { CompleteOptions } from './client-options.js';
import { mayReconnectAfter, overloadedCode, overloadedDelay, unauthenticatedCode } from './close-codes.js';
import type { ConnectionStatus, StatusReason } from './status.js';

/**
 * What follows the end of a socket: a delay before the next one, or the status to stay in. The second function forgets earlier failures.
 */
export function createReconnection({ random, firstDelay, maxDelay = 30_000, reconnectAfter }: CompleteOptions) {
  let failures = 0;
  let hasFreshToken = false;
  const next = (
    { code = 0, reason = '' }: StatusReason,
    again = reconnectAfter?.(code, reason),
  ): number | ConnectionStatus => {
    // Full jitter, so that clients that were disconnected together do not reconnect together.
    if (again ?? mayReconnectAfter(code))
      return (
        (code === overloadedCode ? overloadedDelay : 0) + random() * Math.min(maxDelay, firstDelay * 2 ** failures++)
      );
    if (!(again ?? code === unauthenticatedCode)) return 'stopped';
    if (hasFreshToken) return 'unauthenticated';
    hasFreshToken = true;
    return 0;
  };
  const forget = (): void => {
    failures = 0;
    hasFreshToken = false;
  };
  return [next, forget] as const;
}
