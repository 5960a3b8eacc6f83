import type { EntityManager } from '@mikro-orm/core';
import { Thing } from './things.js';
import type { Transaction, Write } from './world.js';

class RolledBack extends Error {}

/** Does what a transaction of the world says; one within another one is a savepoint. */
export async function transact(em: EntityManager, { parts, isRolledBack }: Transaction): Promise<void> {
  const work = em.transactional(async (inner) => {
    for (const part of parts) {
      if ('parts' in part) await transact(inner, part);
      else await write(inner, part);
      inner.clear();
    }
    if (isRolledBack) throw new RolledBack();
  });
  await work.catch((error) => {
    if (!(error instanceof RolledBack)) throw error;
  });
}

async function write(em: EntityManager, { pk, shelf, count }: Write): Promise<void> {
  const thing = await em.findOne(Thing, pk);
  if (shelf === undefined) {
    if (thing) em.remove(thing);
  } else if (thing) em.assign(thing, { shelf, count });
  else em.create(Thing, { id: pk, name: `thing ${pk}`, shelf, count });
  await em.flush();
}
