import { isDeepStrictEqual } from 'node:util';
import { type EntityMetadata, type EntityProperty, helper, Reference, Utils } from '@mikro-orm/core';
import type { OrmRoot } from './orm-root.js';

type Hydrate = (entity: object, meta: EntityMetadata, ...more: unknown[]) => void;

const fixed = new WeakSet<object>();

/**
 * Makes an ORM remember keys of one-to-one relations in the database's form. When MikroORM finds a row from the inverse side, it notes the
 * key in the entity's form: with a type that converts keys, the next flush would write the owning row although nothing has changed.
 */
export function keepOneToOneKeys({ em }: OrmRoot): void {
  const classes = [...em.getMetadata().getAll().values()];
  if (!classes.some((meta) => convertedInverses(meta).length > 0)) return;
  const hydrator = em.config.getHydrator(em.getMetadata()) as object;
  if (fixed.has(hydrator)) return;
  fixed.add(hydrator);
  for (const name of ['hydrate', 'hydrateReference'] as const) {
    const method = Reflect.get(hydrator, name) as Hydrate;
    const wrapped: Hydrate = (entity, meta, ...more) => {
      method.call(hydrator, entity, meta, ...more);
      for (const prop of convertedInverses(meta)) correctKey(entity, meta, prop);
    };
    Reflect.set(hydrator, name, wrapped);
  }
}

const inverses = new WeakMap<EntityMetadata, readonly EntityProperty[]>();

/** The relations whose owning side holds the key of this class in a column, in another form than entities have. */
function convertedInverses(meta: EntityMetadata): readonly EntityProperty[] {
  const known = inverses.get(meta);
  if (known) return known;
  const isConverted = meta.getPrimaryProps(true).some(({ customType }) => customType);
  const found = isConverted
    ? meta.relations.filter(({ kind, owner, mapToPk }) => kind === '1:1' && !owner && !mapToPk)
    : [];
  inverses.set(meta, found);
  return found;
}

function correctKey(entity: object, meta: EntityMetadata, { name, mappedBy }: EntityProperty): void {
  const other: unknown = Reflect.get(entity, name);
  if (!Utils.isEntity<object>(other, true)) return;
  const { __originalEntityData: original } = helper(Reference.unwrapReference(other));
  if (!original || !(mappedBy in original)) return;
  const asShown: unknown = Utils.getPrimaryKeyValues(entity, meta, true);
  if (!isDeepStrictEqual(Reflect.get(original, mappedBy), asShown)) return;
  Reflect.set(original, mappedBy, Utils.getPrimaryKeyValues(entity, meta, true, true));
}
