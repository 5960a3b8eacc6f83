import { Collection, helper, Utils } from '@mikro-orm/core';

/** Whether an object is a row of the ORM, or a reference to one. */
export function isEntity(value: object): boolean {
  return Utils.isEntity(value, true);
}

/** Whether only the key of an entity is known, as with a relation that was not loaded. */
export function isUnloaded(value: object): boolean {
  return Utils.isEntity(value) && !helper(value).isInitialized();
}

/** Whether an object is a collection: a relation to many rows. */
export function isCollection(value: object): boolean {
  return value instanceof Collection;
}
