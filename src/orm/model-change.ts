import { isDeepStrictEqual } from 'node:util';
import type { EntityClass } from '@mikro-orm/core';
import type { Class } from '../metadata.js';

/**
 * A row as the database has it: foreign keys are keys, embedded properties are flat, nothing is converted. What a
 * many-to-many relation holds is a list of keys, and is there only where it is known.
 */
export type RowData = Readonly<Record<string, unknown>>;

/** What one commit did to one row. Created: no `before`. Deleted: no `after`. */
export interface ModelChange {
  readonly entity: EntityClass<object>;
  readonly pk: unknown;
  readonly before?: RowData;
  readonly after?: RowData;
  /** The request that made it, if a request did. */
  readonly origin?: string;
}

/** Rows of a subclass are rows of the model too. */
export function isOfModel({ entity }: ModelChange, model: Class | undefined): boolean {
  return model !== undefined && (entity === model || entity.prototype instanceof model);
}

/** The columns that differ. */
export function changedColumns(before: RowData, after: RowData): ReadonlySet<string> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return new Set([...names].filter((name) => !isDeepStrictEqual(before[name], after[name])));
}

/**
 * Two changes of a row in one commit are one: create then update is a create, update then delete a delete, create then
 * delete nothing, away and back an update.
 */
export function mergeChanges(earlier: ModelChange, later: ModelChange): ModelChange | undefined {
  const { before: _, ...rest } = later;
  // What only one of them knows, the other has not changed.
  const merged: ModelChange = {
    ...rest,
    ...(earlier.before && { before: { ...later.before, ...earlier.before } }),
    ...(later.after && { after: { ...earlier.after, ...later.after } }),
  };
  return merged.before === undefined && merged.after === undefined ? undefined : merged;
}
