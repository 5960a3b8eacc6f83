import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  ActionContext,
  type App,
  Consumer,
  createApp,
  DetailAction,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  NotFound,
  ObserveInstance,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  Retrieve,
  RevokedBy,
  Serializer,
  type SerializerClass,
  type SerializerContext,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { lockWaits } from '../support/locks.js';
import { RoomSerializer } from '../support/rooms.js';

const base = mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveInstance);

class IsOpen implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    return !(object as Room).archived;
  }
}

class SaysWhy implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    if ((object as Room).archived) throw new PermissionDenied('Archived.');
    return true;
  }
}

let isDeaf = false;

class MayHear implements Permission {
  canReceive() {
    return !isDeaf;
  }
}

let gate = Promise.resolve();

@Consumer()
@Permissions(IsOpen)
class OpenConsumer extends base {}

@Consumer()
@Permissions(SaysWhy)
class SayingConsumer extends base {}

@Consumer()
@Permissions(MayHear)
class FilteredConsumer extends base {
  protected override async getQuery() {
    await gate;
    return { archived: false };
  }
}

@Consumer()
class OfOneNameConsumer extends base {
  protected override getQuery({ kwargs }: ActionContext) {
    return { name: { $like: `${kwargs['begin']}%` } };
  }

  override async subscribeInstance({ id }: Room, context: ActionContext) {
    const kwargs = { pk: id, begin: context.kwargs['begin'] };
    await this.subscribe(this.onInstance, kwargs, context);
  }
}

const rooms = mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, ObserveInstance);

@injectable()
class NameSerializer extends ModelSerializer(Room, { fields: ['name'] }) {}

/** A computed field that is another one for each client. */
@injectable()
class GreetingSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], computed: ['greeting'] }) {
  greeting({ name }: Room, { request }: SerializerContext) {
    return `${request?.scope.query.get('name')} in ${name}`;
  }
}

@injectable()
class MarkedSerializer extends Serializer<Room, { marked: unknown }> {
  toData({ name }: Room, context: SerializerContext) {
    return { marked: `${name} ${(context as { readonly mark?: string }).mark}` };
  }
}

@Consumer()
class ByActionConsumer extends rooms {
  protected override getSerializer({ action }: ActionContext): SerializerClass<Serializer<Room>> {
    return action === 'retrieve' ? NameSerializer : RoomSerializer;
  }
}

@Consumer()
class ByClientConsumer extends rooms {
  protected override getSerializer({ scope }: ActionContext): SerializerClass<Serializer<Room>> {
    return scope.query.has('member') ? RoomSerializer : NameSerializer;
  }
}

@Consumer()
class GreetingConsumer extends mix(
  ModelConsumer(Room, { serializer: GreetingSerializer }),
  List,
  Retrieve,
  ObserveInstance,
) {}

@Consumer()
class MarkingConsumer extends mix(
  ModelConsumer(Room, { serializer: MarkedSerializer }),
  List,
  Retrieve,
  ObserveInstance,
) {
  protected override getSerializerContext(request: ActionContext) {
    return { ...super.getSerializerContext(request), mark: this.scope.query.get('name') };
  }
}

@Consumer()
class OwnRetrieveConsumer extends rooms {
  @DetailAction({ reply: NameSerializer })
  override async retrieve(room: Room, context: ActionContext) {
    if (room.archived) throw new NotFound();
    return super.retrieve(room, context);
  }
}

@Consumer()
class OwnObjectConsumer extends rooms {
  protected override async getObject(key: unknown, context: ActionContext) {
    const room = await super.getObject(key, context);
    if (room.archived) throw new NotFound();
    return room;
  }
}

let isBanned = false;

class IsWelcome implements Permission {
  hasPermission() {
    return !isBanned;
  }
}

@Consumer()
@Permissions(IsWelcome, IsOpen)
class WelcomingConsumer extends base {}

@Consumer()
class PrivateConsumer extends base {
  protected override getQuery() {
    return isBanned ? { id: 0 } : {};
  }

  @RevokedBy('onInstance', () => User)
  protected *firstRoom() {
    yield '1';
  }
}

describe('What a subscription of a row may see', () => {
  const database = useDatabase('model_visibility');
  let app: App;
  let em: EntityManager;

  beforeEach(async () => {
    isDeaf = false;
    isBanned = false;
    gate = Promise.resolve();
    em = database.orm.em.fork();
    await em.execute(`insert into room (name, archived) values ('red', false), ('blue', false)`);
    const routes = [
      path('/open/', OpenConsumer),
      path('/saying/', SayingConsumer),
      path('/filtered/', FilteredConsumer),
      path('/name/', OfOneNameConsumer),
      path('/by-action/', ByActionConsumer),
      path('/by-client/', ByClientConsumer),
      path('/greeting/', GreetingConsumer),
      path('/marking/', MarkingConsumer),
      path('/own-retrieve/', OwnRetrieveConsumer),
      path('/own-object/', OwnObjectConsumer),
      path('/welcoming/', WelcomingConsumer),
      path('/private/', PrivateConsumer),
    ];
    app = createApp({ orm: database.orm, routes, settings: { development: false } });
  });
  afterEach(() => app.close());

  async function following(url: string, requestId = 4): Promise<TestConnection> {
    const ann = await connect(app, url);
    ann.send({ action: 'subscribe_instance', pk: 1, request_id: requestId });
    expect(await ann.receive()).to.include({ response_status: 201 });
    return ann;
  }

  async function save(values: Partial<Room>, pk = 1): Promise<void> {
    em.assign(await em.findOneOrFail(Room, pk), values);
    await em.flush();
  }

  for (const url of ['/open/', '/saying/']) {
    it(`asks for the object again: ${url} tells one delete, then silence, and a create when it is allowed again`, async () => {
      await using ann = await following(url);
      await save({ name: 'pink' });
      expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
      await save({ archived: true, name: 'secret' });
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 }, response_status: 204 });
      await save({ name: 'secret too' });
      await ann.expectSilence();
      expect(JSON.stringify(ann.frames)).not.to.contain('secret');
      await save({ archived: false, name: 'red' });
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red' } });
    });
  }

  it('shows the row as it is visible now, so that what it was while it was hidden is never sent', async () => {
    await using ann = await following('/filtered/');
    const opened = Promise.withResolvers<void>();
    gate = opened.promise;
    await save({ archived: true, name: 'secret' });
    await save({ archived: false, name: 'pink' });
    opened.resolve();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    await ann.expectSilence();
    expect(JSON.stringify(ann.frames)).not.to.contain('secret');
  });

  it('takes no row for gone of which a permission kept the delete back', async () => {
    await using ann = await following('/filtered/');
    isDeaf = true;
    await save({ archived: true });
    await ann.expectSilence();
    isDeaf = false;
    await save({ archived: false });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'red' } });
  });

  it('takes no row for back of which a permission kept the create back', async () => {
    await using ann = await following('/filtered/');
    await save({ archived: true });
    expect(await ann.receive()).to.include({ action: 'delete' });
    isDeaf = true;
    await save({ archived: false });
    await ann.expectSilence();
    isDeaf = false;
    await save({ name: 'pink' });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'pink' } });
  });

  for (const { url, seen } of [
    { url: '/by-action/', seen: { name: 'pink' } },
    { url: '/by-client/', seen: { name: 'pink' } },
    { url: '/by-client/?member', seen: { id: 1, name: 'pink' } },
    { url: '/greeting/?name=ann', seen: { id: 1, name: 'pink', greeting: 'ann in pink' } },
    { url: '/marking/?name=ann', seen: { marked: 'pink ann' } },
    { url: '/own-retrieve/', seen: { name: 'pink' } },
    { url: '/own-object/', seen: { id: 1, name: 'pink' } },
  ]) {
    it(`shows the row as retrieve shows it to this client: ${url}`, async () => {
      await using ann = await following(url);
      await save({ name: 'pink' });
      expect(await ann.receive()).to.deep.include({ action: 'update', data: seen });
      expect(await ann.request('retrieve', { pk: 1 })).to.deep.include({ data: seen });
    });
  }

  for (const url of ['/own-retrieve/', '/own-object/']) {
    it(`tells a delete where ${url} finds the row no more, and a create where it does again`, async () => {
      await using ann = await following(url);
      await save({ archived: true, name: 'secret' });
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
      await save({ name: 'secret too' });
      await ann.expectSilence();
      await save({ archived: false, name: 'red' });
      expect(await ann.receive()).to.include({ action: 'create' });
      expect(JSON.stringify(ann.frames)).not.to.contain('secret');
    });
  }

  it("shows each commit's own columns where this client is shown what all are", async () => {
    await using ann = await following('/by-client/?member');
    for (const name of ['pink', 'rose']) await save({ name });
    for (const name of ['pink', 'rose']) expect(await ann.receive()).to.deep.include({ data: { id: 1, name } });
  });

  for (const { url, does, isRead } of [
    { url: '/by-client/?member', does: 'does not read the row again', isRead: false },
    { url: '/by-client/', does: 'reads the row again', isRead: true },
    { url: '/greeting/', does: 'reads the row again', isRead: true },
  ]) {
    it(`${does} where this client is shown it as ${url} does`, async () => {
      await using ann = await following(url);
      const locking = database.orm.em.fork();
      await locking.begin();
      await em.begin();
      (await em.findOneOrFail(Room, 1)).name = 'pink';
      await em.flush();
      // Nothing can read the table from the commit on.
      const locked = locking.execute('lock table room in access exclusive mode');
      await lockWaits(database.orm.em);
      await em.commit();
      await locked;
      if (isRead) await lockWaits(database.orm.em);
      else expect(await ann.receive()).to.have.nested.property('data.name', 'pink');
      await locking.rollback();
      if (isRead) expect(await ann.receive()).to.have.nested.property('data.name', 'pink');
    });
  }

  it('withholds the event, and tells no delete, where the action is refused and not the row', async () => {
    await using ann = await following('/welcoming/');
    isBanned = true;
    await save({ name: 'secret' });
    await ann.expectSilence();
    isBanned = false;
    await save({ name: 'pink' });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    await save({ archived: true });
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
  });

  it('ends at once where @RevokedBy says so and the query does not show the row any more', async () => {
    await using ann = await following('/private/');
    isBanned = true;
    em.create(User, { username: 'bob', password: '' });
    await em.flush();
    expect(await ann.receive()).to.include({ action: 'revoked', request_id: 4 });
    await save({ name: 'secret' });
    await ann.expectSilence();
  });

  it('judges each row of one request id by what the client sent for that row', async () => {
    await using ann = await connect(app, '/name/');
    for (const frame of [
      { pk: 1, begin: 'r' },
      { pk: 2, begin: 'b' },
    ])
      expect(await ann.request('subscribe_instance', { ...frame, request_id: 4 })).to.include({ response_status: 201 });
    await save({ name: 'rose' });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'rose' } });
    await save({ name: 'beige' }, 2);
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 2, name: 'beige' } });
  });
});
