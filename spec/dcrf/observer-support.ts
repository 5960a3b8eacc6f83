import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MikroORM } from '@mikro-orm/postgresql';

/** The models that the recorded scenarios of observers, groups, transactions and relations write. */
@Entity()
export class Owner {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  username!: string;
}

@Entity()
export class Tag {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  label!: string;

  @ManyToMany(() => Thing, 'tags')
  things = new Collection<Thing>(this);
}

@Entity()
export class Thing {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  name!: string;

  @Property({ type: 'integer' })
  shelf: Opt<number> = 1;

  @Property({ type: 'integer' })
  count: Opt<number> = 0;

  @ManyToOne(() => Owner, { nullable: true })
  owner?: Rel<Owner> | null;

  @ManyToMany(() => Tag, 'things', { owner: true })
  tags = new Collection<Tag>(this);
}

export const things = [Owner, Tag, Thing];

/** Users alice and bob; things alpha, beta and gamma on shelf 1; tags red, green and blue. */
export async function fill(orm: MikroORM): Promise<void> {
  const em = orm.em.fork();
  for (const username of ['alice', 'bob']) em.create(Owner, { username });
  await em.flush();
  for (const name of ['alpha', 'beta', 'gamma']) em.create(Thing, { name });
  for (const label of ['red', 'green', 'blue']) em.create(Tag, { label });
  await em.flush();
}

/** Loads a row, assigns and flushes, as Django's `save` does. */
export async function save(orm: MikroORM, pk: number, values: Partial<Pick<Thing, 'name' | 'shelf' | 'count'>>) {
  const em = orm.em.fork();
  em.assign(await em.findOneOrFail(Thing, pk), values);
  await em.flush();
}

export async function createThing(orm: MikroORM, name: string, shelf = 1): Promise<number> {
  const em = orm.em.fork();
  const thing = em.create(Thing, { name, shelf });
  await em.flush();
  return thing.id;
}

export async function removeThing(orm: MikroORM, pk: number): Promise<void> {
  const em = orm.em.fork();
  em.remove(await em.findOneOrFail(Thing, pk));
  await em.flush();
}
