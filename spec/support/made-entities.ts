import { EntityFactory } from '@mikro-orm/core';

/** How many entities, and references to them, MikroORM makes while work is done. A hook on the entity would have them made. */
export async function entitiesMadeBy(work: () => Promise<unknown>): Promise<number> {
  const { create, createReference } = EntityFactory.prototype;
  let made = 0;
  EntityFactory.prototype.create = function (this: EntityFactory, ...parameters: never) {
    made += 1;
    return Reflect.apply(create, this, parameters);
  } as typeof create;
  EntityFactory.prototype.createReference = function (this: EntityFactory, ...parameters: never) {
    made += 1;
    return Reflect.apply(createReference, this, parameters);
  } as typeof createReference;
  try {
    await work();
  } finally {
    Object.assign(EntityFactory.prototype, { create, createReference });
  }
  return made;
}
