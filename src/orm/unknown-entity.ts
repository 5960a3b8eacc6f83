import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';

/** @param relation the verb between the owner and the entity's name, such as `observes` */
export function unknownEntity(owner: string, relation: string, entity: Class): ConfigurationError {
  return new ConfigurationError({
    class: owner,
    reason: `${relation} ${entity.name}, which MikroORM does not know.`,
    remedy: `Put @Entity() on it, and add it to the entities: MikroORM.init({ entities: [${entity.name}, …] }).`,
  });
}
