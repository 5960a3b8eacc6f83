export type EventAction = 'create' | 'update' | 'delete';

/**
 * What a change means to a subscription that listens to some of the groups: in none before and in one after is a create, in one before
 * and in none after a delete, in both an update, in neither nothing.
 */
export function eventFor(
  listening: readonly string[],
  before: readonly string[],
  after: readonly string[],
): EventAction | undefined {
  const was = before.some((group) => listening.includes(group));
  const is = after.some((group) => listening.includes(group));
  if (was && is) return 'update';
  if (is) return 'create';
  return was ? 'delete' : undefined;
}

/** Every group that has to hear of a change, once. */
export function groupsConcerned(before: readonly string[], after: readonly string[]): readonly string[] {
  return [...new Set([...before, ...after])];
}
