/** As much of a browser as there may be: none of it in Node, some of it in React Native. */
interface Surroundings {
  readonly document?: {
    readonly visibilityState: string;
    addEventListener?(name: string, listener: () => void): void;
    removeEventListener?(name: string, listener: () => void): void;
  };
  readonly navigator?: { readonly onLine?: boolean };
  readonly addEventListener?: (name: string, listener: () => void) => void;
  readonly removeEventListener?: (name: string, listener: () => void) => void;
}

const here = globalThis as Surroundings;

/** Whether the device says that it has no network. */
export function isOffline(): boolean {
  return here.navigator?.onLine === false;
}

/**
 * Calls back when the network comes or goes and when the page is looked at again: timers sleep in a hidden page, and
 * sockets die in a sleeping device without a word.
 *
 * @returns ends it
 */
export function wakeUps(wake: () => void): () => void {
  const looked = (): void => {
    if (here.document?.visibilityState === 'visible') wake();
  };
  here.addEventListener?.('online', wake);
  here.addEventListener?.('offline', wake);
  here.document?.addEventListener?.('visibilitychange', looked);
  return () => {
    here.removeEventListener?.('online', wake);
    here.removeEventListener?.('offline', wake);
    here.document?.removeEventListener?.('visibilitychange', looked);
  };
}
