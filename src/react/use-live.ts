import { useMemo } from 'react';
import type { LiveCollection, LiveSnapshot } from '../client/live.js';
import { useOpened } from './use-opened.js';

/** What a component sees of a live collection. */
export interface LiveRows<Row> extends LiveSnapshot<Row> {
  /** Lists the rows again. */
  readonly refetch: () => void;
}

const loading: LiveSnapshot<never> = { rows: [], status: 'loading', error: undefined };

/**
 * A live collection for as long as the component is mounted.
 *
 * ```ts
 * const { rows, status } = useLive(
 *   () => live(client.rooms.$on('onMessage', 'subscribeToRoom', { room }), { list: () => client.rooms.listMessages({ room }) }),
 *   [room],
 * );
 * ```
 *
 * @param open called when the component is mounted, and again when a dependency changes; never while it renders
 * @param dependencies what `open` uses of the component. With a change the rows begin anew: those of another room never show
 */
export function useLive<Row>(open: () => LiveCollection<Row>, dependencies: readonly unknown[]): LiveRows<Row> {
  const { opened, snapshot } = useOpened<LiveSnapshot<Row>, LiveCollection<Row>>(open, loading, dependencies);
  return useMemo(() => ({ ...snapshot, refetch: () => opened.source?.refetch() }), [opened, snapshot]);
}
