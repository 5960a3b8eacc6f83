import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Length } from 'class-validator';
import { type App, createApp, ModelSerializer, path, type Route } from 'signalbox';
import { connect, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';

/** The fixture of DCRF's recorded scenarios. */
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
  @ManyToMany(() => Tag) tags = new Collection<Tag>(this);
}

export const models = [Person, Tag, Thing];

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

export const short = (id: number, name: string, shelf = 1) => ({ id, name, shelf });

export const names = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'];

type Routed = Parameters<typeof path>[1];

export interface Scenarios {
  readonly orm: MikroORM;
  readonly clock: TestClock;
  /** A socket to one of the routes. */
  open(url: string): Promise<TestConnection>;
  /** The Things alpha, beta, gamma, … */
  things(count: number): Promise<void>;
  people(...usernames: string[]): Promise<void>;
}

/** A database with the fixture's people and tags, and an application with these routes, for each spec. */
export function useScenarios(database: string, routes: Readonly<Record<string, Routed>>): Scenarios {
  const opened = useDatabase(database, models);
  let app: App<readonly Route[]>;
  let clock: TestClock;
  beforeEach(async () => {
    const providers = testProviders();
    clock = providers.clock;
    const paths = Object.entries(routes).map(([url, consumer]) => path(url, consumer));
    app = createApp<readonly Route[]>({ orm: opened.orm, routes: paths, container: providers.container });
    const em = opened.orm.em.fork();
    for (const name of ['red', 'green', 'blue']) em.create(Tag, { name });
    await em.flush();
  });
  afterEach(() => app.close());
  return {
    get orm() {
      return opened.orm;
    },
    get clock() {
      return clock;
    },
    open: (url) => connect(app, url),
    things: async (count) => {
      const em = opened.orm.em.fork();
      for (const name of names.slice(0, count)) em.create(Thing, { name });
      await em.flush();
    },
    people: async (...usernames) => {
      const em = opened.orm.em.fork();
      for (const username of usernames) em.create(Person, { username, email: `${username}@example.com` });
      await em.flush();
    },
  };
}
