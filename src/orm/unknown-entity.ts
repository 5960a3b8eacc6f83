import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';

/** @param relation such as `observes`, between what needs the entity and its name */
export function unknownEntity(owner: string, relation: string, entity: Class): ConfigurationError {
  return new ConfigurationError({
    class: owner,
    reason: `${relation} ${entity.name}, which MikroORM does not know.`,
    remedy: `Put @Entity() on it, and add it to the entities: MikroORM.init({ entities: [${entity.name}, …] }).`,
  });
}
