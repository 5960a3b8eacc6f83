/** The browser's objects that may exist: none of them in Node, some in React Native. */
interface Surroundings {
  readonly navigator?: { readonly onLine?: boolean };
  readonly addEventListener?: (name: string, listener: () => void, options: { readonly signal: AbortSignal }) => void;
}

const here = globalThis as Surroundings;

/** Whether the device reports that it has no network. */
export function isOffline(): boolean {
  return here.navigator?.onLine === false;
}

/**
 * Calls back when the network comes or goes, and when the page becomes visible again: timers sleep in a hidden page, and sockets die
 * silently in a sleeping device.
 */
export function onWakeUp(wake: () => void, life: { readonly signal: AbortSignal }): void {
  for (const name of ['online', 'offline', 'visibilitychange']) here.addEventListener?.(name, wake, life);
}
