import { useMemo } from 'react';
import type { LiveCollection, LiveSnapshot } from '../client/live.js';
import { useOpened } from './use-opened.js';

/** A live collection, for a component. */
export interface LiveRows<Row> extends LiveSnapshot<Row> {
  /** Lists the rows again. */
  readonly refetch: () => void;
}

const loading: LiveSnapshot<never> = { rows: [], status: 'loading', error: undefined };

/**
 * Keeps a live collection while the component is mounted.
 *
 * ```ts
 * const { rows, status } = useLive(
 *   () => live(client.rooms.$on('onMessage', 'subscribeToRoom', { room }), { list: () => client.rooms.listMessages({ room }) }),
 *   [room],
 * );
 * ```
 *
 * @param open called when the component is mounted, and again when a dependency changes; never during rendering
 * @param dependencies the component's values that `open` uses. When one changes, the rows are loaded anew: rows of another room are never
 * shown
 */
export function useLive<Row>(open: () => LiveCollection<Row>, dependencies: readonly unknown[]): LiveRows<Row> {
  const { opened, snapshot } = useOpened<LiveSnapshot<Row>, LiveCollection<Row>>(open, loading, dependencies);
  return useMemo(() => ({ ...snapshot, refetch: () => opened.source?.refetch() }), [opened, snapshot]);
}
