import { EntityManager, LockMode } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppApi,
  type ApplicationHooks,
  Consumer,
  closeOn,
  createApp,
  type GivenSettings,
  GroupsForBoth,
  Logger,
  type ModelEvent,
  ModelObserver,
  NotAuthenticated,
  Observer,
  type Permission,
  Permissions,
  path,
  queryTicket,
  RevokedBy,
  recheckOn,
  type Scope,
  type ScopeMiddleware,
  Signal,
  type SignalEvent,
  type Subscription,
  type UserStore,
} from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import { container, injectable } from 'tsyringe';
import { User } from './entities.js';
import { Person, ShelfKey, Thing, thingModels } from './things.js';
import type { Row } from './world.js';

/** Whoever has one may follow all things. */
@Entity()
export class Pass {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  reader!: string;
}

export const shelfEntities = [...thingModels, User, Pass];

export const departed = new Signal<{ readonly train: number }>('departed');

export interface ShownThing extends Row {
  readonly name: string;
}

const shown = ({ id, name, shelf, count }: ShownThing): ShownThing => ({ id, name, shelf, count });

@injectable()
class HasPass implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission({ scope }: ActionContext) {
    return (await this.em.count(Pass, { reader: scope.identity?.userId ?? '' })) > 0;
  }
}

@injectable()
class IsWelcome implements Permission {
  canConnect({ user }: Scope) {
    return !(user as User | undefined)?.username.startsWith('banned');
  }
}

@Consumer()
@Permissions(IsWelcome)
export class ShelfConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action() async hello() {}

  @Action()
  async list({ shelf }: ShelfKey) {
    return (await this.em.find(Thing, { shelf }, { orderBy: { id: 'asc' } })).map(shown);
  }

  @Action({ status: 201 })
  async watch({ shelf }: ShelfKey, context: ActionContext) {
    await this.subscribe(this.onThing, { shelf }, context);
  }

  @Action({ status: 201, permissions: [HasPass] })
  async watchAll(context: ActionContext) {
    await this.subscribe(this.onAnyThing, {}, context);
  }

  @Action({ status: 201 })
  async watchDepartures(context: ActionContext) {
    await this.subscribe(this.onDeparted, {}, context);
  }

  @ModelObserver(() => Thing, { body: shown })
  async onThing(event: ModelEvent<Thing, ShownThing>, subscription: Subscription<ShelfKey>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onThing') protected *groupsOfShelf({ shelf }: Thing | ShelfKey) {
    yield `shelf-${shelf}`;
  }

  @ModelObserver(() => Thing, { body: shown })
  async onAnyThing(event: ModelEvent<Thing, ShownThing>, subscription: Subscription) {
    await subscription.send(event);
  }
  @RevokedBy('onAnyThing', () => Pass) protected *everybody() {
    yield 'everybody';
  }

  @Observer(departed)
  async onDeparted(event: SignalEvent<{ readonly train: number }>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class PersonConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onPerson, {}, context);
  }

  @ModelObserver(() => Person)
  async onPerson(event: ModelEvent<Person>, subscription: Subscription) {
    await subscription.send(event);
  }
}

const shelfRoute = path('/ws/', ShelfConsumer);

/** What an application may do besides: a later version of it, say. */
export const peopleRoute = path('/people/', PersonConsumer);

@injectable()
class Users implements UserStore {
  constructor(private readonly em: EntityManager) {}

  find(id: string) {
    return this.em.findOne(User, Number(id));
  }
}

/** The client says who it is: `?user=1&session=a`. With a password it has to be the right one. */
@injectable()
class StatedUser implements ScopeMiddleware {
  constructor(private readonly users: Users) {}

  async apply(scope: Scope) {
    const [userId, sessionId, password] = ['user', 'session', 'password'].map(
      (name) => scope.query.get(name) ?? undefined,
    );
    if (userId !== undefined) scope.identity = { userId, ...(sessionId !== undefined && { sessionId }) };
    if (!scope.identity) return;
    const user = (await this.users.find(scope.identity.userId)) ?? undefined;
    if (password !== undefined && user?.password !== password) throw new NotAuthenticated();
    scope.user = user;
  }
}

/** All clients of a spec come from one address. */
const many = 1_000_000;
const limits = { messageBurst: many, messagesPerSecond: many, addressHandshakeBurst: many };
const drain = { delay: 0, spread: 100, retrySpread: 100 };

/** An application whose clients follow the things on a shelf. */
export function serveShelves(
  orm: MikroORM,
  logger: MemoryLogger,
  settings: GivenSettings = {},
  further: readonly (typeof peopleRoute)[] = [],
  hooks: readonly (new () => ApplicationHooks)[] = [],
) {
  const child = container.createChildContainer();
  child.registerInstance(Logger, logger);
  const app = createApp({
    orm,
    container: child,
    hooks,
    users: Users,
    middleware: [queryTicket(), StatedUser],
    connections: [
      closeOn(User, { user: ({ id }) => id, changed: ['password'] }),
      recheckOn(User, { user: ({ id }) => id, changed: ['username'] }),
    ],
    routes: [shelfRoute, ...further],
    settings: { limits, drain, log: { actions: false }, ...settings },
  });
  return { app, container: child };
}

export type ShelfApi = AppApi<App<readonly [typeof shelfRoute]>>;

export function openShelves(clientUrl: string): Promise<MikroORM> {
  return MikroORM.init({ clientUrl, entities: shelfEntities, metadataProvider: ReflectMetadataProvider });
}

/** What applications and workers write when a spec tells them to. */
export function shelfWrites(orm: MikroORM) {
  const change = async (id: number, values: Partial<Row & ShownThing>): Promise<void> => {
    const em = orm.em.fork();
    em.assign(await em.findOneOrFail(Thing, id), values);
    await em.flush();
  };
  const changeUser = async (id: number, values: Partial<User>): Promise<void> => {
    const em = orm.em.fork();
    em.assign(await em.findOneOrFail(User, id), values);
    await em.flush();
  };
  return {
    change,
    changeUser,
    async createPerson(username: string): Promise<void> {
      const em = orm.em.fork();
      em.create(Person, { username });
      await em.flush();
    },
    /** In one transaction. */
    async create(shelf: number, ids: readonly number[], count = 0): Promise<void> {
      const em = orm.em.fork();
      for (const id of ids) em.create(Thing, { id, name: `thing ${id}`, shelf, count });
      await em.flush();
    },
    /** @returns the count that the row has now; no two calls return the same */
    increment(id: number): Promise<number> {
      return orm.em.fork().transactional(async (em) => {
        const thing = await em.findOneOrFail(Thing, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
        thing.count += 1;
        return thing.count;
      });
    },
    /** Names a row by its key and by the readers that have a pass when this transaction commits, and counts it up. */
    recordReaders(id: number): Promise<void> {
      return orm.em.fork().transactional(async (em) => {
        await em.execute('select pg_advisory_xact_lock_shared(1)');
        const thing = await em.findOneOrFail(Thing, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
        const passes = await em.find(Pass, {}, { orderBy: { reader: 'asc' } });
        thing.name = [`#${id}`, ...passes.map(({ reader }) => reader)].join(' ');
        thing.count += 1;
      });
    },
    async upsert(id: number, shelf: number, count: number): Promise<void> {
      await orm.em.fork().upsert(Thing, { id, name: `thing ${id}`, shelf, count });
    },
    /** Waits for those who record the readers, and they for it: what one of them did not see is over when it takes effect. */
    grant(reader: string): Promise<void> {
      return orm.em.fork().transactional(async (em) => {
        await em.execute('select pg_advisory_xact_lock(1)');
        em.create(Pass, { reader });
      });
    },
    revoke(reader: string): Promise<void> {
      return orm.em.fork().transactional(async (em) => {
        await em.execute('select pg_advisory_xact_lock(1)');
        for (const pass of await em.find(Pass, { reader })) em.remove(pass);
      });
    },
    /** Outside of any transaction. */
    depart(train: number): void {
      departed.send({ train });
    },
    departWith(id: number, train: number): Promise<void> {
      return orm.em.fork().transactional(async (em) => {
        (await em.findOneOrFail(Thing, id)).count = train;
        departed.send({ train });
      });
    },
  };
}
