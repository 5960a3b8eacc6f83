import { isDeepStrictEqual } from 'node:util';
import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import type { OrmRoot } from './orm-root.js';
import { hasColumn } from './row.js';

type Values = Record<string, unknown>;

/** Compares two states of a row and returns the properties that differ. */
type Compare = (last: Values, current: Values, ...more: unknown[]) => Values;

type ComparatorOf = (entity: EntityMetadata['class']) => Compare;

/**
 * Makes an ORM with `forceUndefined` read null inside an embedded JSON value as a missing value, as its entities do. MikroORM compares the
 * stored null with the entity's undefined: a row that was only read would count as changed and be written.
 */
export function takeNullForMissing({ em }: OrmRoot): void {
  if (!em.config.get('forceUndefined')) return;
  const comparator = em.config.getComparator(em.getMetadata()) as { getEntityComparator: ComparatorOf };
  if (Object.hasOwn(comparator, 'getEntityComparator')) return;
  const comparatorOf = comparator.getEntityComparator.bind(comparator);
  const made = new Map<Compare, Compare>();
  comparator.getEntityComparator = (entity) => {
    const compare = comparatorOf(entity);
    const known = made.get(compare) ?? withoutMissing(compare, embeddedJson(em.getMetadata(entity) as EntityMetadata));
    made.set(compare, known);
    return known;
  };
}

function embeddedJson({ props }: EntityMetadata): readonly EntityProperty[] {
  return props.filter((prop) => prop.kind === 'embedded' && hasColumn(prop));
}

function withoutMissing(compare: Compare, props: readonly EntityProperty[]): Compare {
  if (props.length === 0) return compare;
  return (last, current, ...more) => {
    const difference = compare(last, current, ...more);
    for (const prop of props)
      if (
        prop.name in difference &&
        isDeepStrictEqual(present(prop, last[prop.name]), present(prop, current[prop.name]))
      )
        delete difference[prop.name];
    return difference;
  };
}

/** The value without the keys whose values are null or undefined. */
function present(prop: EntityProperty, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => present(prop, item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const own: EntityProperty | undefined = prop.embeddedProps[name];
    if (inner === null || inner === undefined) return [];
    return [[name, own?.kind === 'embedded' ? present(own, inner) : inner]];
  });
  return Object.fromEntries(entries);
}
