import { defineEntity, MikroORM, p, serialize } from '@mikro-orm/postgresql';
import type { People } from './people.js';
import { databaseUrl, poolSize } from './serve.js';

const Person = defineEntity({
  name: 'Person',
  properties: {
    id: p.integer().primary(),
    name: p.string().length(150),
    email: p.string().length(254),
    city: p.string().length(150),
    age: p.integer(),
    active: p.boolean(),
    joined: p.datetime().onCreate(() => new Date()),
  },
});

/** A fork per request, as MikroORM's documentation demands. */
export async function peopleByMikroOrm(): Promise<People> {
  const { em } = await MikroORM.init({
    clientUrl: databaseUrl,
    entities: [Person],
    pool: { min: poolSize, max: poolSize },
  });
  return {
    async retrieve(id) {
      const person = await em.fork().findOne(Person, id);
      return person ? serialize(person) : undefined;
    },
    async list(limit, offset) {
      const people = await em.fork().find(Person, {}, { limit, offset, orderBy: { id: 'asc' } });
      return people.map((person) => serialize(person));
    },
    count: () => em.fork().count(Person),
    async patch(id, patch) {
      const fork = em.fork();
      const person = await fork.findOne(Person, id);
      if (person === null) return undefined;
      fork.assign(person, patch);
      await fork.flush();
      return serialize(person);
    },
    async create(data) {
      const fork = em.fork();
      const person = fork.create(Person, data);
      await fork.flush();
      return serialize(person);
    },
    async delete(id) {
      const fork = em.fork();
      const person = await fork.findOne(Person, id);
      if (person === null) return false;
      await fork.remove(person).flush();
      return true;
    },
  };
}
