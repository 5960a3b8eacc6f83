import type { UpgradableServer } from './app-options.js';

type Serves = (url: string) => boolean;

/** The applications of this process on one HTTP server, in the order in which they were attached. */
const applications = new WeakMap<UpgradableServer, readonly Serves[]>();

/** Notes an application that is attached to a server. Returns what ends it. */
export function share(server: UpgradableServer, serves: Serves): () => void {
  applications.set(server, [...sharing(server), serves]);
  return () => {
    const others = sharing(server).filter((other) => other !== serves);
    applications.set(server, others);
  };
}

/**
 * Whether this application answers an upgrade, if only to refuse it. What it does not serve may be another library's; where
 * all that listen are applications of ours, the first of them refuses what none serves.
 */
export function answers(server: UpgradableServer, url: string, serves: Serves): boolean {
  if (serves(url)) return true;
  const ours = sharing(server);
  if (server.listenerCount('upgrade') > ours.length) return false;
  return ours[0] === serves && !ours.some((other) => other(url));
}

function sharing(server: UpgradableServer): readonly Serves[] {
  return applications.get(server) ?? [];
}
