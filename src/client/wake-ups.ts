/** As much of a browser as there may be: none of it in Node, some of it in React Native. */
interface Surroundings {
  readonly navigator?: { readonly onLine?: boolean };
  readonly addEventListener?: (name: string, listener: () => void, options: { readonly signal: AbortSignal }) => void;
}

const here = globalThis as Surroundings;

/** Whether the device says that it has no network. */
export function isOffline(): boolean {
  return here.navigator?.onLine === false;
}

/**
 * Calls back when the network comes or goes and when the page is looked at again: timers sleep in a hidden page, and
 * sockets die in a sleeping device without a word.
 */
export function onWakeUp(wake: () => void, life: { readonly signal: AbortSignal }): void {
  for (const name of ['online', 'offline', 'visibilitychange']) here.addEventListener?.(name, wake, life);
}
