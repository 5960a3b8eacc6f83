import { useMemo, useSyncExternalStore } from 'react';
import { Opened, type Source } from './opened.js';

/**
 * A source of this component: it is opened when the component is mounted, opened anew when a dependency changes, and ended when the
 * component is unmounted.
 */
export function useOpened<Snapshot, S extends Source<Snapshot>>(
  open: () => S,
  initial: Snapshot,
  dependencies: readonly unknown[],
): { readonly opened: Opened<Snapshot, S>; readonly snapshot: Snapshot } {
  // biome-ignore lint/correctness/useExhaustiveDependencies: they are the caller's, as of useEffect
  const opened = useMemo(() => new Opened<Snapshot, S>(open, initial), dependencies);
  const snapshot = useSyncExternalStore(opened.subscribe, opened.getSnapshot, opened.getInitial);
  return { opened, snapshot };
}
