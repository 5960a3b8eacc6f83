import { once } from 'node:events';
import { EntityManager } from '@mikro-orm/core';
import { MikroORM as EmbeddedOrm } from '@mikro-orm/pglite';
import { EntityManager as DriverEntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type AppOptions,
  ChannelLayer,
  Clock,
  ConfigurationError,
  Consumer,
  createApp,
  type ErrorMapper,
  InMemoryChannelLayer,
  List,
  Logger,
  ModelConsumer,
  ModelSerializer,
  mix,
  NotFound,
  NotifyChannelLayer,
  type Permission,
  Permissions,
  path,
  type Route,
  type ScopeMiddleware,
} from 'signalbox';
import { connect, MemoryLogger, TestClock } from 'signalbox/testing';
import { container, type DependencyContainer, type InjectionToken, injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { until } from '../support/deadline.js';
import { Message, Room, User } from '../support/entities.js';

const layerToken = ChannelLayer as InjectionToken<ChannelLayer>;

@Consumer()
class ToolConsumer extends ApiConsumer {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {
    super();
  }

  @Action()
  async show() {
    return { users: await this.em.count(User), year: this.clock.now().getUTCFullYear() };
  }

  @Action()
  async fail() {
    throw new RangeError('Out of range.');
  }

  @Action({ timeLimit: 1_000 })
  async wait({ signal }: ActionContext) {
    await once(signal, 'abort');
  }
}

class Clerk {}

class BareMiddleware implements ScopeMiddleware {
  constructor(readonly clerk: Clerk) {}
  apply(): void {}
}

class BarePermission implements Permission {
  constructor(readonly clerk: Clerk) {}
  hasPermission(): boolean {
    return true;
  }
}

@Permissions(BarePermission)
@Consumer()
class GuardedConsumer extends ApiConsumer {}

class BareSerializer extends ModelSerializer(User, { fields: ['id'] }) {
  constructor(readonly clerk: Clerk) {
    super();
  }
}

@Consumer()
class UserConsumer extends mix(ModelConsumer(User, { serializer: BareSerializer }), List) {}

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'host'], nested: { host: BareSerializer } }) {}

@injectable()
class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'room'],
  nested: { room: RoomSerializer },
}) {}

@Consumer()
class MessageConsumer extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), List) {}

@Consumer()
class ReplyConsumer extends ApiConsumer {
  @Action({ reply: BareSerializer })
  async show() {
    return new User();
  }
}

@injectable()
class RangeErrors implements ErrorMapper {
  constructor(readonly clock: Clock) {}

  toApiError(thrown: unknown) {
    return thrown instanceof RangeError ? new NotFound(`Gone in ${this.clock.now().getUTCFullYear()}.`) : undefined;
  }
}

describe('The parts of an application', () => {
  const database = useDatabase('services');
  let child: DependencyContainer;

  beforeEach(() => {
    child = container.createChildContainer();
    child.registerInstance(Clock, new TestClock());
  });

  const open = (options: Partial<AppOptions<readonly Route[]>> = {}) =>
    createApp({ orm: database.orm, container: child, routes: [path('/', ToolConsumer)], ...options });

  it('are injected: the entity manager, the clock, the logger and the channel layer', async () => {
    const logger = new MemoryLogger();
    child.registerInstance(Logger, logger);
    const app = open();
    expect(child.resolve(EntityManager)).to.equal(database.orm.em);
    expect(child.resolve(Logger)).to.equal(logger);
    expect(child.resolve(layerToken)).to.be.instanceOf(NotifyChannelLayer);
    await using ann = await connect(app, '/');
    expect(await ann.request('show')).to.deep.include({ data: { users: 0, year: 2026 } });
    await app.close();
  });

  it('reach one process where the database is within it, and all that share a server', async () => {
    const embedded = await EmbeddedOrm.init({
      dbName: 'memory://',
      entities: [],
      discovery: { warnWhenNoEntities: false },
    });
    const app = createApp({ orm: embedded, container: child, routes: [path('/', ToolConsumer)] });
    expect(child.resolve(layerToken)).to.be.instanceOf(InMemoryChannelLayer);
    await app.close();
    await embedded.close(true);
  });

  it('hand a message to no more channels in a turn than the setting says', async () => {
    const app = open({ settings: { outbound: { groupSlice: 2 } } });
    const layer = child.resolve(layerToken);
    let told = 0;
    const inFirstTurn = Promise.withResolvers<number>();
    for (const channel of [layer.newChannel(), layer.newChannel(), layer.newChannel()]) {
      await layer.connect(channel, () => {
        if (told === 0) queueMicrotask(() => inFirstTurn.resolve(told));
        told += 1;
      });
      await layer.add('all', channel);
    }
    await layer.sendToGroup('all', { type: 'hello' });
    expect(await inFirstTurn.promise).to.equal(2);
    await until(() => told === 3, 'The rest');
    await app.close();
  });

  it('have the entity manager by the name that the driver gives it, too', async () => {
    @Consumer()
    class DriverConsumer extends ApiConsumer {
      constructor(private readonly em: DriverEntityManager) {
        super();
      }

      @Action()
      async ask() {
        return [this.em === database.orm.em, await this.em.execute('select 1 as one')];
      }
    }
    const app = open({ routes: [path('/', DriverConsumer)] });
    await using ann = await connect(app, '/');
    expect(await ann.request('ask')).to.deep.include({ data: [true, [{ one: 1 }]] });
    await app.close();
  });

  it('are made where the application registers none', async () => {
    const empty = container.createChildContainer();
    const app = open({ container: empty });
    expect(empty.resolve(Clock)).to.be.instanceOf(Clock);
    expect(empty.resolve(Logger)).to.be.instanceOf(Logger).and.not.instanceOf(MemoryLogger);
    expect(empty.resolve(Logger)).to.equal(empty.resolve(Logger));
    await app.close();
  });

  it('do not reach the global container', async () => {
    const app = createApp({ orm: database.orm, routes: [path('/', ToolConsumer)] });
    expect(container.isRegistered(EntityManager)).to.equal(false);
    expect(container.isRegistered(layerToken)).to.equal(false);
    await app.close();
  });

  it('have one channel layer: the one that is injected is the one that is used and closed', async () => {
    const closed: string[] = [];
    class Layer extends InMemoryChannelLayer {
      constructor(readonly name: string) {
        super();
      }
      override async close(): Promise<void> {
        closed.push(this.name);
      }
    }
    const given = new Layer('given');
    const first = open({ channelLayer: given });
    expect(child.resolve(layerToken)).to.equal(given);
    await first.close();
    const other = container.createChildContainer();
    other.registerInstance(layerToken, new Layer('registered'));
    await open({ container: other }).close();
    expect(closed).to.deep.equal(['given', 'registered']);
  });

  it('take the time from the clock that is injected', async () => {
    const clock = new TestClock();
    child.registerInstance(Clock, clock);
    const app = open();
    await using ann = await connect(app, '/');
    await ann.request('unknown');
    const reply = ann.request('wait');
    // The heartbeat waits as well.
    await until(() => clock.waiting === 2, 'The time limit');
    clock.advance(999);
    clock.advance(1);
    expect(await reply).to.include({ response_status: 504 });
    await app.close();
  });

  it('map errors of other libraries by providers', async () => {
    const app = open({ errors: [RangeErrors] });
    await using ann = await connect(app, '/');
    expect(await ann.request('fail')).to.deep.include({ response_status: 404, errors: ['Gone in 2026.'] });
    await app.close();
  });

  const bare: readonly [string, () => Partial<AppOptions<readonly Route[]>>, string][] = [
    ['a middleware', () => ({ middleware: [BareMiddleware] }), 'BareMiddleware: has 1 constructor parameter'],
    ['a permission', () => ({ routes: [path('/', GuardedConsumer)] }), 'BarePermission: has 1 constructor parameter'],
    ['a default permission', () => ({ permissions: [BarePermission] }), 'BarePermission: has 1 constructor parameter'],
    [
      "a consumer's serializer",
      () => ({ routes: [path('/', UserConsumer)] }),
      'BareSerializer: has 1 constructor parameter',
    ],
    [
      'a nested serializer',
      () => ({ routes: [path('/', MessageConsumer)] }),
      'BareSerializer: has 1 constructor parameter',
    ],
    [
      "an action's serializer",
      () => ({ routes: [path('/', ReplyConsumer)] }),
      'BareSerializer: has 1 constructor parameter',
    ],
  ];
  for (const [name, options, text] of bare) {
    it(`refuse ${name} to whose constructor the container would pass nothing`, () => {
      expect(() => open(options())).to.throw(ConfigurationError, text);
    });
  }
});
