import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ApiConsumer,
  type AppOptions,
  all,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  demultiplexer,
  InMemoryChannelLayer,
  IsAuthenticated,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  Patch,
  Permissions,
  path,
  Retrieve,
  type Route,
  type ScopeMiddlewareClass,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { inject } from 'tsyringe';
import { Message, Room } from './support/entities.js';
import { offlineOrm } from './support/offline-orm.js';
import { testProviders } from './support/providers.js';
import { MessageSerializer, RoomSerializer } from './support/rooms.js';

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve, Create, Patch, Delete) {
  @Action()
  async markDone() {}
}

@Consumer()
class OpenConsumer extends ApiConsumer {
  @Action()
  async hello() {}
}

@Consumer()
@Permissions(IsAuthenticated)
class SecretConsumer extends ApiConsumer {}

class Login {
  async apply() {}
}

/** What only JavaScript, or a cast, lets a newcomer write. */
const wrong = (value: unknown): never => value as never;

describe('The first mistakes', () => {
  let logger: MemoryLogger;

  async function application(options: Partial<AppOptions<readonly Route[]>> = {}) {
    const { container, logger: memory } = testProviders();
    logger = memory;
    const orm = await offlineOrm([Room]);
    const channelLayer = new InMemoryChannelLayer();
    return createApp({ orm, container, channelLayer, routes: [path('/ws/', RoomConsumer)], ...options });
  }

  async function refusal(options: Partial<AppOptions<readonly Route[]>>): Promise<string> {
    return application(options).then(
      () => 'none',
      (error: Error) => `${error.name}: ${error.message}`,
    );
  }

  describe('of a client', () => {
    async function ask(action: string, kwargs: object = {}, development = true) {
      const app = await application({ settings: { development } });
      await using client = await connect(app, '/ws/');
      const { errors, response_status: status } = await client.request(action, { ...kwargs });
      await app.close();
      return { status, errors };
    }

    const near: readonly [string, string][] = [
      ['retreive', 'Did you mean "retrieve"?'],
      ['markDone', 'Did you mean "mark_done"?'],
      ['Create', 'Did you mean "create"?'],
      ['path', 'Did you mean "patch"?'],
    ];
    for (const [misspelt, hint] of near) {
      it(`${misspelt}: ${hint}`, async () => {
        expect(await ask(misspelt)).to.deep.equal({
          status: 405,
          errors: [`Method "${misspelt}" not allowed.`, hint],
        });
      });
    }
    it('an action that resembles none is told no other', async () => {
      expect((await ask('subscribe_to_rooms')).errors).to.deep.equal(['Method "subscribe_to_rooms" not allowed.']);
    });

    it('production lists no names', async () => {
      expect((await ask('retreive', {}, false)).errors).to.deep.equal(['Method "retreive" not allowed.']);
    });

    async function askStream(stream: string, development = true) {
      const streams = demultiplexer({ rooms: RoomConsumer, room_members: RoomConsumer, secrets: SecretConsumer });
      const app = await application({ settings: { development }, routes: [path('/ws/', streams)] });
      await using client = await connect(app, '/ws/');
      const { errors, response_status: status } = await client.channel(stream).request('list');
      await app.close();
      return { status, errors };
    }

    const open = 'There are: rooms, room_members.';
    const nearStreams: readonly [string, string][] = [
      ['room', 'Did you mean "rooms"?'],
      ['Rooms', 'Did you mean "rooms"?'],
      ['roomMembers', 'Did you mean "room_members"?'],
    ];
    for (const [misspelt, hint] of nearStreams) {
      it(`the stream ${misspelt}: ${hint}`, async () => {
        expect(await askStream(misspelt)).to.deep.equal({
          status: 404,
          errors: [`No stream "${misspelt}". ${open}`, hint],
        });
      });
    }

    it('a stream that resembles none, or only one that the client may not have, is told no other', async () => {
      expect((await askStream('accounts')).errors).to.deep.equal([`No stream "accounts". ${open}`]);
      expect((await askStream('secret')).errors).to.deep.equal([`No stream "secret". ${open}`]);
    });

    it('production compares no names of streams', async () => {
      expect((await askStream('room', false)).errors).to.deep.equal([`No stream "room". ${open}`]);
    });

    it('a request for one row that names none is told which kwarg is missing', async () => {
      expect(await ask('retrieve', { id: 4 })).to.deep.equal({
        status: 400,
        errors: [{ pk: ['This field is required.'] }],
      });
    });
  });

  describe('in a route', () => {
    const cases: readonly [string, Route, string][] = [
      [
        'an instance',
        path('/ws/', wrong(new OpenConsumer())),
        'createApp./ws/: leads to an instance of OpenConsumer, which is no consumer class. Give the class, from which every connection gets an instance of its own: OpenConsumer.',
      ],
      [
        'an instance behind a demultiplexer',
        path('/ws/', demultiplexer({ open: wrong(new OpenConsumer()) })),
        'createApp./ws/: leads in its stream "open" to an instance of OpenConsumer, which is no consumer class. Give the class, from which every connection gets an instance of its own: OpenConsumer.',
      ],
      [
        'an arrow function',
        path(
          '/ws/',
          wrong(() => 'hi'),
        ),
        'createApp./ws/: leads to an arrow function, which is no consumer class. Give a class with @Consumer(). If you did, look for a circular import.',
      ],
      [
        'undefined',
        path('/ws/', wrong(undefined)),
        'createApp./ws/: leads to undefined, which is no consumer class. Give a class with @Consumer(). If you did, look for a circular import.',
      ],
      [
        'no path',
        wrong(OpenConsumer),
        "createApp.routes: have the class OpenConsumer, which is no route. Write path('/ws/', YourConsumer).",
      ],
    ];
    for (const [name, route, text] of cases) {
      it(name, async () => {
        expect(await refusal({ routes: [route] })).to.equal(`ConfigurationError: ${text}`);
      });
    }
  });

  describe('in middleware', () => {
    const cases: readonly [string, ScopeMiddlewareClass, string][] = [
      ['an arrow function', wrong(async () => undefined), 'an arrow function'],
      ['an instance', wrong(new Login()), 'an instance of Login'],
      ['an object', wrong({ apply() {} }), 'an object'],
    ];
    for (const [name, piece, shown] of cases) {
      it(name, async () => {
        expect(await refusal({ middleware: [piece] })).to.equal(
          `ConfigurationError: createApp./ws/: has ${shown} among its middleware, which is no class. Write a class, which the container builds: @injectable() class Login implements ScopeMiddleware { async apply(scope: Scope) { … } }.`,
        );
      });
    }

    it('a class without apply: the log says so, and the client gets a correlation id', async () => {
      class Nothing {}
      const app = await application({ middleware: [wrong(Nothing)] });
      const refused = await connect(app, '/ws/').catch(({ name }: Error) => name);
      expect(refused).to.equal('UnexpectedError');
      expect(String(logger.at('error')[0]?.fields['error'])).to.equal(
        'ConfigurationError: Nothing.apply: is not there, and is what middleware is called by. Write it: async apply(scope: Scope) { … }.',
      );
    });
  });

  describe('in permissions', () => {
    const arrow =
      'has a function among its permissions, which is no class. Write a class, which the container builds: class IsMember implements Permission { hasPermission(context: ActionContext) { … } }.';

    it('of the application', async () => {
      expect(await refusal({ permissions: [wrong(() => true)] })).to.equal(`ConfigurationError: createApp: ${arrow}`);
      expect(await refusal({ permissions: [wrong(new Login())] })).to.equal(
        'ConfigurationError: createApp: has an instance of Login among its permissions, which is no class. Give the class; the container builds it.',
      );
    });

    it('of a consumer, also within an expression', async () => {
      @Consumer()
      @Permissions(all(wrong(() => true)))
      class Guarded extends ApiConsumer {}
      expect(await refusal({ routes: [path('/ws/', Guarded)] })).to.equal(`ConfigurationError: Guarded: ${arrow}`);
    });

    it('that answer no question, and would allow everything', async () => {
      class IsMember {
        has_permission() {
          return false;
        }
      }
      class IsAnything {}
      const remedy = 'Give it one of the methods canConnect, hasPermission, hasObjectPermission, canReceive.';
      expect(await refusal({ permissions: [all(wrong(IsMember))] })).to.equal(
        `ConfigurationError: createApp: has the permission IsMember, which answers no question and would allow everything. It has has_permission. ${remedy}`,
      );
      expect(await refusal({ permissions: [wrong(IsAnything)] })).to.equal(
        `ConfigurationError: createApp: has the permission IsAnything, which answers no question and would allow everything. ${remedy}`,
      );
    });

    it('of an action', async () => {
      @Consumer()
      class Guarded extends ApiConsumer {
        @Action({ permissions: [wrong(undefined)] })
        async hello() {}
      }
      expect(await refusal({ routes: [path('/ws/', Guarded)] })).to.equal(
        'ConfigurationError: Guarded.hello: has undefined among its permissions, which is no class. Look for a circular import.',
      );
    });
  });

  it('a model without a serializer', () => {
    const text =
      "ModelConsumer(Room): has no serializer, which says what clients see of a row. Write class RoomSerializer extends ModelSerializer(Room, { fields: ['id', …] }) {}, and give it: ModelConsumer(Room, { serializer: RoomSerializer }). If you did, look for a circular import.";
    expect(() => ModelConsumer(Room, wrong(undefined))).to.throw(text);
    expect(() => ModelConsumer(Room, wrong({}))).to.throw(text);
    expect(() => ModelConsumer(wrong(undefined), wrong({ serializer: RoomSerializer }))).to.throw(
      'ModelConsumer: was given undefined for an entity. Give the class, and look for a circular import.',
    );
  });

  describe('an entity that MikroORM does not know', () => {
    it('of a serializer and its consumer', async () => {
      @Consumer()
      class Messages extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), Retrieve) {}
      expect(await refusal({ routes: [path('/ws/', Messages)] })).to.equal(
        'ConfigurationError: MessageSerializer: shows Message, which MikroORM does not know. Put @Entity() on it, and add it to the entities: MikroORM.init({ entities: [Message, …] }).',
      );
    });

    it('of an observer, which would never hear of a change', async () => {
      @Consumer()
      class Watching extends ApiConsumer {
        @ModelObserver(() => Message)
        async onMessage(event: ModelEvent<Message>, subscription: Subscription) {
          await subscription.send(event);
        }
      }
      expect(await refusal({ routes: [path('/ws/', Watching)] })).to.equal(
        'ConfigurationError: Watching.onMessage: observes Message, which MikroORM does not know. Put @Entity() on it, and add it to the entities: MikroORM.init({ entities: [Message, …] }).',
      );
    });
  });

  describe('a port that is taken', () => {
    let other: Server;
    before((done) => {
      other = createServer().listen(0, () => done());
    });
    after(() => other.close());

    it('is named, with the code of Node', async () => {
      const { port } = other.address() as AddressInfo;
      const app = await application();
      const error = await app.listen({ port }).catch((thrown: NodeJS.ErrnoException) => thrown);
      expect(error).to.include({
        code: 'EADDRINUSE',
        message: `Port ${port} is taken. Stop the program that uses it, or listen on another one: app.listen({ port }).`,
      });
      await app.close();
    });
  });

  it('a database that is not there: the log says what to do', async () => {
    const app = await application();
    await using client = await connect(app, '/ws/');
    expect(await client.request('retrieve', { pk: 1 })).to.include({ response_status: 503, code: 'unavailable' });
    expect(logger.at('warn')[0]?.fields).to.include({
      remedy: 'Start the database server, or correct its address. `signalbox doctor` says whether it answers.',
    });
    await app.close();
  });
});

/** What tsx and esbuild make of a class: decorators without `design:` metadata. */
describe('Without the metadata of the compiler', () => {
  class Sum {
    @IsInt()
    one!: number;
  }

  function method(decorate: (prototype: object, member: string, descriptor: never) => void, run: () => unknown) {
    class Bare extends ApiConsumer {}
    Object.defineProperty(Bare.prototype, 'act', { value: run, configurable: true });
    decorate(Bare.prototype, 'act', undefined as never);
    return Bare;
  }

  it('an action that names its kwargs is given them, and one without parameters runs', async () => {
    const adding = method(Action({ kwargs: Sum }) as never, async (...[sum]: [Sum?]) => sum instanceof Sum && sum.one);
    const silent = method(Action() as never, async () => 'done');
    for (const consumer of [adding, silent]) Consumer()(consumer);
    const app = createApp<readonly Route[]>({
      orm: await offlineOrm(),
      routes: [path('/adding/', adding), path('/silent/', silent)],
    });
    await using ann = await connect(app, '/adding/');
    await using bob = await connect(app, '/silent/');
    expect(await ann.request('act', { one: 1 })).to.include({ response_status: 200, data: 1 });
    expect(await ann.request('act', { one: 'x' })).to.include({ response_status: 400 });
    expect(await bob.request('act')).to.include({ response_status: 200, data: 'done' });
    await app.close();
  });

  it('a detail action without kwargs may be declared', () => {
    expect(() => method(DetailAction() as never, ((_room: object) => undefined) as never)).not.to.throw();
  });

  it('an action with a parameter is refused with both ways out', () => {
    expect(() => method(Action() as never, ((_sum: Sum) => undefined) as never)).to.throw(
      'Bare.act: the compiler wrote no types down for it. Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json, and compile with tsc: tsx and esbuild leave the types out. Or name the class of the kwargs, which needs no types: @Action({ kwargs: TheClass }).',
    );
  });

  it('a consumer is built by the tokens that @inject names', async () => {
    const built: unknown[] = [];
    class Injected extends ApiConsumer {
      constructor(readonly em: EntityManager) {
        super();
        built.push(em);
      }
    }
    inject(EntityManager)(Injected, undefined, 0);
    Consumer()(Injected);
    const orm = await offlineOrm();
    const app = createApp({ orm, routes: [path('/ws/', Injected)] });
    await using _client = await connect(app, '/ws/');
    await app.idle();
    expect(built).to.deep.equal([orm.em]);
    await app.close();
  });
});
