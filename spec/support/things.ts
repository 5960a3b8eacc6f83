import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MikroORM } from '@mikro-orm/postgresql';
import { IsInt, Length } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  createApp,
  GroupsForBoth,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  type Route,
  type Subscription,
} from 'signalbox';
import type { MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { testProviders } from './providers.js';

/** The models of DCRF's recorded scenarios, which the specs of several processes write too. */
@Entity()
export class Person {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Length(1, 150) @Property({ type: 'string', length: 150, unique: true }) username!: string;
  @Property({ type: 'string', default: '' }) email: Opt<string> = '';
}

@Entity()
export class Tag {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @ManyToMany(() => Thing, 'tags') things = new Collection<Thing>(this);
}

@Entity()
export class Thing {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Length(1, 100) @Property({ type: 'string', length: 100, unique: true }) name!: string;
  @Property({ type: 'string', nullable: true }) description?: string | null;
  @Property({ type: 'integer', default: 0 }) count: Opt<number> = 0;
  @Property({ type: 'decimal', precision: 8, scale: 2, nullable: true }) price?: string | null;
  @Property({ type: 'integer', default: 1 }) shelf: Opt<number> = 1;
  @Property({ type: 'boolean', default: false }) hidden: Opt<boolean> = false;
  @ManyToOne(() => Person, { nullable: true }) owner?: Rel<Person> | null;
  @ManyToMany(() => Tag, 'things', { owner: true }) tags = new Collection<Tag>(this);
}

export const thingModels = [Person, Tag, Thing];

@injectable()
export class PersonSerializer extends ModelSerializer(Person, { fields: ['id', 'username', 'email'] }) {}

@injectable()
export class ThingSerializer extends ModelSerializer(Thing, {
  fields: ['id', 'name', 'description', 'count', 'price', 'shelf', 'hidden', 'owner', 'tags'],
}) {}

@injectable()
export class ShortSerializer extends ModelSerializer(Thing, { fields: ['id', 'name', 'shelf'] }) {}

/** All of a Thing that is shown, as it is when it is new. */
export function thing(id: number, name: string, more: object = {}) {
  const rest = { description: null, count: 0, price: null, shelf: 1, hidden: false, owner: null, tags: [] };
  return { id, name, ...rest, ...more };
}

export class ShelfKey {
  @IsInt() shelf!: number;
}

/** The things of each shelf. */
export abstract class ShelfObserver extends ApiConsumer {
  @Action({ status: 201 })
  async watch({ shelf }: ShelfKey, context: ActionContext) {
    await this.subscribe(this.onThing, { shelf }, context);
  }

  @ModelObserver(() => Thing, { body: ({ id, shelf, count }) => ({ id, shelf, count }) })
  async onThing(event: ModelEvent<Thing, Pick<Thing, 'id' | 'shelf' | 'count'>>, subscription: Subscription<ShelfKey>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onThing') protected *groupsOfShelf({ shelf }: Thing | ShelfKey) {
    yield `shelf-${shelf}`;
  }
}

export const short = (id: number, name: string, shelf = 1) => ({ id, name, shelf });

/** People alice and bob; things alpha, beta and gamma on shelf 1; tags red, green and blue. */
export async function fill(orm: MikroORM): Promise<void> {
  const em = orm.em.fork();
  for (const username of ['alice', 'bob']) em.create(Person, { username });
  await em.flush();
  for (const name of ['alpha', 'beta', 'gamma']) em.create(Thing, { name });
  for (const name of ['red', 'green', 'blue']) em.create(Tag, { name });
  await em.flush();
}

/** For all specs of a file: one application of these routes. Before each: the rows of `fill`. */
export function useThings(
  database: { readonly orm: MikroORM },
  routes: readonly Route[],
): { readonly app: App; readonly logger: MemoryLogger } {
  const { container, logger } = testProviders();
  let app: App;
  before(() => {
    app = createApp({ orm: database.orm, container, routes });
  });
  after(() => app.close());
  beforeEach(() => fill(database.orm));
  return {
    logger,
    get app() {
      return app;
    },
  };
}

/** Loads a row, assigns and flushes, as Django's `save` does. */
export async function save(
  orm: MikroORM,
  pk: number,
  values: Partial<Pick<Thing, 'name' | 'shelf' | 'count' | 'hidden'>>,
): Promise<void> {
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
