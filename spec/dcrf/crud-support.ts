import type { MikroORM } from '@mikro-orm/postgresql';
import { type App, createApp, path, type Route } from 'signalbox';
import { connect, type TestClock, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { Person, Tag, Thing, thingModels } from '../support/things.js';

export { Person, ShortSerializer, short, Thing } from '../support/things.js';

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
  const opened = useDatabase(database, thingModels);
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
