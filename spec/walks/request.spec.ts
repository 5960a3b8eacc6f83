import { once } from 'node:events';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  type AppOptions,
  Conflict,
  Consumer,
  createApp,
  DetailAction,
  demultiplexer,
  ModelConsumer,
  ModelSerializer,
  mix,
  type Permission,
  Permissions,
  path,
  Retrieve,
  type Route,
  Scope,
  type ScopeMiddleware,
} from 'signalbox';
import { injectable } from 'tsyringe';
import type { ClientOptions } from 'ws';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { type TestProviders, testProviders } from '../support/providers.js';
import { RoomKey } from '../support/rooms.js';
import { refusalOf, SocketClient } from '../support/sockets.js';

class CreateRoom {
  @IsString() name!: string;
}

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'host'] }) {}

/** Logs in whoever sends a cookie with a username. */
@injectable()
class SessionMiddleware implements ScopeMiddleware {
  constructor(private readonly em: EntityManager) {}

  async apply(scope: Scope): Promise<void> {
    scope.user = (await this.em.findOne(User, { username: scope.cookies.user ?? '' })) ?? undefined;
  }
}

/** What each step of a walk saw, in their order. Made anew for each spec. */
let steps: { readonly step: string; readonly em: unknown; readonly isInTransaction: boolean }[] = [];

let waiting: PromiseWithResolvers<void>;

function note(step: string, em: EntityManager): void {
  steps.push({ step, em: em.getContext(), isInTransaction: em.isInTransaction() });
}

@injectable()
class IsKnown implements Permission {
  constructor(
    private readonly em: EntityManager,
    private readonly scope: Scope,
  ) {}

  canConnect(scope: Scope): boolean {
    note('connect', this.em);
    return scope === this.scope && scope.query.get('refused') === null;
  }

  hasPermission({ kwargs }: ActionContext): boolean {
    note('permission', this.em);
    return kwargs.name !== 'forbidden';
  }

  hasObjectPermission(_context: ActionContext, object: object): boolean {
    note('object permission', this.em);
    return object instanceof Room && object.name !== 'private';
  }
}

@Consumer()
@Permissions(IsKnown)
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  create({ name }: CreateRoom, { scope }: ActionContext) {
    note('method', this.em);
    return this.em.create(Room, { name, host: scope.user instanceof User ? scope.user.id : null });
  }

  @Action()
  async createAsync({ name }: CreateRoom) {
    note('method', this.em);
    this.em.create(Room, { name });
    await this.em.flush();
    throw new Conflict('Too late.');
  }

  @Action({ atomic: true })
  async createAsyncInTransaction({ name }: CreateRoom) {
    note('method', this.em);
    this.em.create(Room, { name });
    await this.em.flush();
    throw new Conflict('In time.');
  }

  @Action()
  async createUnflushed({ name }: CreateRoom) {
    note('method', this.em);
    this.em.create(Room, { name });
  }

  @Action()
  async renameUnflushed({ name }: CreateRoom) {
    const room = await this.em.findOneOrFail(Room, { name: 'blue' });
    room.name = name;
    return room;
  }

  @Action()
  async renameFlushed({ name }: CreateRoom) {
    const room = await this.em.findOneOrFail(Room, { name: 'blue' });
    room.name = name;
    await this.em.flush();
    return room;
  }

  @Action()
  async inviteUnflushed(_kwargs: CreateRoom) {
    const room = await this.em.findOneOrFail(Room, { name: 'blue' });
    room.members.add(await this.em.findOneOrFail(User, { username: 'cem' }));
    return room;
  }

  @Action()
  async removeUnflushed(_kwargs: CreateRoom) {
    this.em.remove(await this.em.findOneOrFail(Room, { name: 'blue' }));
  }

  @Action()
  async *streamUnflushed({ name }: CreateRoom) {
    const room = await this.em.findOneOrFail(Room, { name: 'blue' });
    room.name = name;
    yield room;
    await this.em.flush();
  }

  /** Not async: what it returns is awaited inside of its transaction. */
  @Action()
  createLater({ name }: CreateRoom) {
    return Promise.resolve().then(() => {
      note('later', this.em);
      this.em.create(Room, { name });
      if (name === 'late') throw new Conflict('Too late.');
    });
  }

  @Action({ atomic: true })
  async createAndWait({ name }: CreateRoom, { signal }: ActionContext) {
    this.em.create(Room, { name });
    await this.em.flush();
    waiting.resolve();
    await once(signal, 'abort');
  }

  @Action({ atomic: false })
  look() {
    note('method', this.em);
  }

  @Action()
  async createThenFail({ name }: CreateRoom) {
    note('method', this.em);
    this.em.create(Room, { name });
    await this.em.flush();
    throw new Error('An unknown error with a secret.');
  }

  @DetailAction()
  archive(room: Room) {
    note('method', this.em);
    room.archived = true;
    return room;
  }

  protected override async getObject(pk: unknown, context: ActionContext) {
    note('load', this.em);
    return super.getObject(pk, context);
  }

  @Action({ kwargs: RoomKey, strict: true })
  whereAmI({ room }: RoomKey, { scope, requestId, action }: ActionContext) {
    return { room, path: scope.path, param: scope.params.id, query: scope.query.get('q'), requestId, action };
  }
}

describe('The request walk', () => {
  const database = useDatabase('request_walk');
  const routes = [
    path('/ws/rooms/:id/', RoomConsumer),
    path('/ws/streams/', demultiplexer({ rooms: RoomConsumer, others: RoomConsumer })),
  ];
  let app: App<readonly Route[]>;
  let port: number;
  let providers: TestProviders;
  let clients: SocketClient[] = [];

  async function start(options: Partial<AppOptions<readonly Route[]>> = {}): Promise<void> {
    providers = testProviders();
    const { container } = providers;
    const middleware = [SessionMiddleware];
    app = createApp<readonly Route[]>({ orm: database.orm, routes, container, middleware, ...options });
    ({ port } = await app.listen({ host: '127.0.0.1' }));
  }

  const urlOf = (at: string): string => `ws://127.0.0.1:${port}${at}`;

  async function client(at = '/ws/rooms/4/?q=x', options: ClientOptions = {}): Promise<SocketClient> {
    const created = await SocketClient.open(urlOf(at), options);
    clients.push(created);
    return created;
  }

  /** Read past the application, over a connection of its own. */
  async function storedNames(): Promise<string[]> {
    const rows = await database.orm.em.fork().getConnection().execute('select name from room order by id');
    return rows.map((row) => String(row.name));
  }

  beforeEach(() => {
    steps = [];
    clients = [];
    waiting = Promise.withResolvers();
  });
  afterEach(async () => {
    for (const each of clients) each.terminate();
    await app.close();
  });

  it('goes from an upgrade request to a reply of five keys', async () => {
    await start();
    const em = database.orm.em.fork();
    em.create(User, { username: 'ann', password: 'secret' });
    await em.flush();
    const ann = await client('/ws/rooms/4/', { headers: { cookie: 'user=ann' } });
    expect(await ann.ask({ action: 'create', request_id: 42, name: 'red' })).to.deep.equal({
      errors: [],
      data: { id: 1, name: 'red', host: 1 },
      action: 'create',
      response_status: 201,
      request_id: 42,
    });
    expect(await ann.ask({ action: 'where_am_i', request_id: 'a', room: 1 })).to.deep.equal({
      errors: [],
      data: { room: 1, path: '/ws/rooms/4/', param: '4', query: null, requestId: 'a', action: 'where_am_i' },
      action: 'where_am_i',
      response_status: 200,
      request_id: 'a',
    });
    expect(await ann.ask({ action: 'look' })).to.deep.equal({
      errors: [],
      data: null,
      action: 'look',
      response_status: 200,
      request_id: null,
    });
  });

  it('goes through a stream of a demultiplexer, and each stream has a consumer of its own', async () => {
    await start();
    const bob = await client('/ws/streams/');
    expect(await bob.ask({ stream: 'rooms', payload: { action: 'create', request_id: 1, name: 'red' } })).to.deep.equal(
      {
        stream: 'rooms',
        payload: {
          errors: [],
          data: { id: 1, name: 'red', host: null },
          action: 'create',
          response_status: 201,
          request_id: 1,
        },
      },
    );
    expect(await bob.ask({ stream: 'others', payload: { action: 'retrieve', request_id: 1, pk: 1 } })).to.deep.equal({
      stream: 'others',
      payload: {
        errors: [],
        data: { id: 1, name: 'red', host: null },
        action: 'retrieve',
        response_status: 200,
        request_id: 1,
      },
    });
  });

  it('asks, checks, loads, runs and writes in one transaction of one entity manager, committed before the reply', async () => {
    await start();
    const bob = await client();
    await bob.ask({ action: 'create', request_id: 1, name: 'red' });
    expect(await storedNames()).to.deep.equal(['red']);
    steps = [];
    expect(await bob.ask({ action: 'archive', request_id: 2, pk: 1 })).to.deep.include({ response_status: 200 });
    expect(await database.orm.em.fork().findOneOrFail(Room, 1)).to.include({ archived: true });
    expect(steps.map(({ step, isInTransaction }) => [step, isInTransaction])).to.deep.equal([
      ['permission', true],
      ['load', true],
      ['object permission', true],
      ['method', true],
    ]);
    expect(new Set(steps.map(({ em }) => em))).to.have.property('size', 1);
  });

  it('runs an async action without a transaction, in an entity manager of its own', async () => {
    await start();
    const bob = await client();
    await bob.ask({ action: 'create_async', request_id: 1, name: 'red' });
    expect(await storedNames()).to.deep.equal(['red']);
    await bob.ask({ action: 'create_unflushed', request_id: 2, name: 'blue' });
    expect(await storedNames()).to.deep.equal(['red']);
    const methods = steps.filter(({ step }) => step === 'method');
    expect(methods.map(({ isInTransaction }) => isInTransaction)).to.deep.equal([false, false]);
    expect(methods[0]?.em).not.to.equal(methods[1]?.em);
    expect(new Set(steps.map(({ em }) => em)).has(database.orm.em)).to.equal(false);
  });

  it('runs an async action in a transaction where it says so, and rolls back what it flushed', async () => {
    await start();
    const bob = await client();
    expect(await bob.ask({ action: 'create_async_in_transaction', request_id: 1, name: 'red' })).to.deep.equal({
      errors: ['In time.'],
      data: null,
      action: 'create_async_in_transaction',
      response_status: 409,
      request_id: 1,
      code: 'conflict',
    });
    expect(await storedNames()).to.deep.equal([]);
    expect(steps.find(({ step }) => step === 'method')).to.include({ isInTransaction: true });
  });

  it('runs async actions in a transaction where the application says so', async () => {
    await start({ settings: { asyncActionsAtomic: true } });
    const bob = await client();
    await bob.ask({ action: 'create_async', request_id: 1, name: 'red' });
    expect(await storedNames()).to.deep.equal([]);
  });

  it('runs sync actions without a transaction where the application says so', async () => {
    await start({ settings: { syncActionsAtomic: false } });
    const bob = await client();
    await bob.ask({ action: 'create', request_id: 1, name: 'red' });
    expect(steps.find(({ step }) => step === 'method')).to.include({ isInTransaction: false });
    expect(await storedNames()).to.deep.equal([]);
  });

  it('refuses an upgrade by the permission to connect, and an action by its own, uncalled', async () => {
    await start();
    expect(await refusalOf(urlOf('/ws/rooms/4/?refused=1'))).to.include({ status: 401 });
    const bob = await client();
    steps = [];
    expect(await bob.ask({ action: 'create', request_id: 1, name: 'forbidden' })).to.deep.equal({
      errors: ['You do not have permission to perform this action.'],
      data: null,
      action: 'create',
      response_status: 403,
      request_id: 1,
      code: 'permission_denied',
    });
    expect(steps.map(({ step }) => step)).to.deep.equal(['permission']);
  });

  it('refuses a logged-in client with 403, and answers for an object that its permission refuses as for an absent one', async () => {
    await start();
    const em = database.orm.em.fork();
    em.create(User, { username: 'ann', password: 'secret' });
    em.create(Room, { name: 'private' });
    await em.flush();
    const asAnn = { headers: { cookie: 'user=ann' } };
    expect(await refusalOf(urlOf('/ws/rooms/4/?refused=1'), asAnn)).to.include({ status: 403 });
    const bob = await client();
    expect(await bob.ask({ action: 'archive', request_id: 1, pk: 1 })).to.deep.include({ response_status: 404 });
    expect(await bob.ask({ action: 'retrieve', request_id: 2, pk: 1 })).to.deep.include({ response_status: 404 });
    expect(steps.map(({ step }) => step)).not.to.include('method');
    expect(await database.orm.em.fork().findOneOrFail(Room, 1)).to.include({ archived: false });
  });

  it('drops unknown kwargs with a note for the developer, and refuses them where the action is strict', async () => {
    await start({ settings: { development: true } });
    const bob = await client();
    expect(await bob.ask({ action: 'create', request_id: 1, name: 'red', admin: true })).to.deep.include({
      response_status: 201,
    });
    expect(providers.logger.at('debug').map(({ message, fields }) => [message, fields])).to.deep.equal([
      ['Kwargs that the action does not know were dropped.', { action: 'create', dropped: ['admin'] }],
    ]);
    expect(await bob.ask({ action: 'where_am_i', request_id: 2, room: 1, admin: true })).to.deep.equal({
      errors: [{ admin: ['This field is not known.'] }],
      data: null,
      action: 'where_am_i',
      response_status: 400,
      request_id: 2,
      code: 'validation_failed',
    });
  });

  for (const development of [true, false]) {
    const mode = development ? 'in development' : 'in production';
    it(`answers 500 where an action without a transaction leaves changes unflushed, and names them in the log, ${mode}`, async () => {
      await start({ settings: { development } });
      await database.orm.em.execute(`insert into "user" (username, password) values ('cem', 'x')`);
      await database.orm.em.execute(`insert into room (name) values ('blue')`);
      const bob = await client();
      const slips = {
        create_unflushed: 'RoomConsumer.createUnflushed returned with changes that are not stored: new Room.',
        rename_unflushed: 'RoomConsumer.renameUnflushed returned with changes that are not stored: Room.name.',
        invite_unflushed: 'RoomConsumer.inviteUnflushed returned with changes that are not stored: Room.members.',
        remove_unflushed: 'RoomConsumer.removeUnflushed returned with changes that are not stored: removed Room.',
        stream_unflushed: 'RoomConsumer.streamUnflushed returned with changes that are not stored: Room.name.',
      };
      for (const [action, text] of Object.entries(slips)) {
        const reply = await bob.ask({ action, request_id: action, name: 'red' });
        expect(reply).to.include({ response_status: 500, data: null, request_id: action, code: 'server_error' });
        expect(String(providers.logger.at('error').at(-1)?.fields?.['error'])).to.equal(
          `UnflushedChanges: ${text} Call \`await this.em.flush()\` before it returns, or make it atomic: @Action({ atomic: true }).`,
        );
      }
      expect(await database.orm.em.fork().find(Room, {})).to.have.length(1);
    });
  }

  it('answers with what an action without a transaction has flushed, or loaded and left alone', async () => {
    await start();
    await database.orm.em.execute(`insert into room (name) values ('blue')`);
    const bob = await client();
    expect(await bob.ask({ action: 'rename_flushed', request_id: 1, name: 'red' })).to.include({
      response_status: 200,
    });
    expect(await bob.ask({ action: 'retrieve', request_id: 2, pk: 1 })).to.deep.include({
      data: { id: 1, name: 'red', host: null },
    });
  });

  it('takes no note outside of development', async () => {
    await start({ settings: { development: false } });
    const bob = await client();
    await bob.ask({ action: 'create', request_id: 1, name: 'red', admin: true });
    expect(providers.logger.at('debug')).to.deep.equal([]);
  });

  it('tells nothing of an unknown error but a correlation id, logs it whole, and the socket lives on', async () => {
    await start();
    const bob = await client();
    const reply = await bob.ask({ action: 'create_then_fail', request_id: 1, name: 'red' });
    const [entry] = providers.logger.at('error');
    expect(reply).to.deep.equal({
      errors: [`A server error occurred. Correlation id: ${entry?.fields.correlationId}.`],
      data: null,
      action: 'create_then_fail',
      response_status: 500,
      request_id: 1,
      code: 'server_error',
    });
    expect(entry?.fields).to.deep.include({
      consumer: 'RoomConsumer',
      action: 'create_then_fail',
      requestId: 1,
      path: '/ws/rooms/4/',
    });
    expect(entry?.fields.error).to.be.instanceOf(Error).with.property('message', 'An unknown error with a secret.');
    expect(await bob.ask({ action: 'look', request_id: 2 })).to.include({ response_status: 200 });
  });

  it('awaits what a sync action returns inside of its transaction', async () => {
    await start();
    const bob = await client();
    expect(await bob.ask({ action: 'create_later', request_id: 1, name: 'red' })).to.include({ response_status: 200 });
    expect(await bob.ask({ action: 'create_later', request_id: 2, name: 'late' })).to.include({ response_status: 409 });
    expect(await storedNames()).to.deep.equal(['red']);
    const later = steps.filter(({ step }) => step === 'later');
    expect(later.map(({ isInTransaction }) => isInTransaction)).to.deep.equal([true, true]);
  });

  it('answers in order what is sent at once', async () => {
    await start();
    const bob = await client();
    for (const [id, name] of ['red', 'red', 'blue'].entries()) bob.send({ action: 'create', request_id: id, name });
    expect(await bob.receive()).to.include({ request_id: 0, response_status: 201 });
    expect(await bob.receive()).to.include({ request_id: 1, response_status: 409 });
    expect(await bob.receive()).to.include({ request_id: 2, response_status: 201 });
    expect(await storedNames()).to.deep.equal(['red', 'blue']);
  });

  it('rolls back and answers 503 before a closing server says goodbye', async () => {
    await start();
    const bob = await client();
    bob.send({ action: 'create_and_wait', request_id: 1, name: 'red' });
    await waiting.promise;
    bob.send({ action: 'look', request_id: 2 });
    // Answered out of line: what was sent before it has arrived.
    expect(await bob.ask({ action: 'cancel', request_id: 3, target: 'none' })).to.include({ response_status: 404 });
    await app.close();
    const answers = [await bob.receive(), await bob.receive()];
    for (const answer of answers) expect(answer).to.include({ response_status: 503, code: 'server_closing' });
    expect(await bob.closed).to.equal(1001);
    expect(await storedNames()).to.deep.equal([]);
  });

  it('rolls back where the socket breaks', async () => {
    await start();
    const bob = await client();
    bob.send({ action: 'create_and_wait', request_id: 1, name: 'red' });
    await waiting.promise;
    bob.terminate();
    const ann = await client();
    await app.idle();
    expect(await ann.ask({ action: 'create', request_id: 1, name: 'red' })).to.include({ response_status: 201 });
    expect(await storedNames()).to.deep.equal(['red']);
  });
});
