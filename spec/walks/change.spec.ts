import { once } from 'node:events';
import { createServer } from 'node:http';
import { EntityManager, RequestContext } from '@mikro-orm/core';
import { Transactional } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  Create,
  Delete,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestChannel, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';
import { listening } from '../support/ports.js';
import { RoomKey } from '../support/rooms.js';
import { useServer } from '../support/serving.js';
import { SocketClient, writesOf } from '../support/sockets.js';

let shown: number[] = [];

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'room'], computed: ['text'] }) {
  text({ id, text }: Message) {
    shown.push(id);
    return text;
  }
}

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'members'], readOnly: ['id'] }) {}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create, Patch, ObserveInstance) {
  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

let flushed: PromiseWithResolvers<void>;

/** Writes in every way that an action can. */
@Consumer()
class MessageConsumer extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), Delete) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async sayAndFlush({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'flushed' });
    await this.em.flush();
  }

  @Action()
  say({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'sync' });
  }

  @Action()
  sayAndThrow({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'sync' });
    throw new Error('no');
  }

  @Action({ atomic: true })
  async flushAndThrow({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'flushed' });
    await this.em.flush();
    throw new Error('no');
  }

  @Action({ atomic: true, timeLimit: 20 })
  async flushAndLinger({ room }: RoomKey, { signal }: ActionContext) {
    this.em.create(Message, { room, text: 'too late' });
    await this.em.flush();
    flushed.resolve();
    if (!signal.aborted) await once(signal, 'abort');
  }

  @Action({ atomic: true })
  async sayInSavepoints({ room }: RoomKey) {
    await this.em.transactional(async (em) => void em.create(Message, { room, text: 'released' }));
    await this.em
      .transactional(async (em) => {
        em.create(Message, { room, text: 'rolled back' });
        await em.flush();
        throw new Error('no');
      })
      .catch(() => undefined);
  }

  @Action({ atomic: true })
  async swallow({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'lost' });
    await this.em.flush();
    await this.em
      .getConnection()
      .execute('select no_such_column', [], 'all', this.em.getTransactionContext())
      .catch(() => undefined);
  }
}

/** A second observer of the same model with the same serializer, on a consumer of its own. */
@Consumer()
class AuditConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async subscribeToAll(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

class Mover {
  constructor(private readonly em: EntityManager) {}

  @Transactional()
  async move(message: number, room: number): Promise<void> {
    (await this.em.findOneOrFail(Message, message)).room = this.em.getReference(Room, room);
  }
}

describe('The change walk', () => {
  const database = useDatabase('change_walk');
  const serve = useServer();
  let app: App;
  let clock: TestClock;
  let em: EntityManager;
  let ann: TestConnection;
  let rooms: TestChannel;
  let messages: TestChannel;

  beforeEach(async () => {
    em = database.orm.em.fork();
    await database.orm.em.execute(`insert into "user" (username, password) values ('ann', 'x'), ('bob', 'x')`);
    await database.orm.em.execute(`insert into room (name, archived) values ('red', false), ('blue', false)`);
    await database.orm.em.execute(`insert into message (room_id, text) values (1, 'hi')`);
    const streams = { rooms: RoomConsumer, messages: MessageConsumer, audit: AuditConsumer };
    ({ app, clock } = serve([path('/ws/', demultiplexer(streams))], { orm: database.orm }));
    ann = await connect(app, '/ws/');
    rooms = ann.channel('rooms');
    messages = ann.channel('messages');
    shown = [];
    flushed = Promise.withResolvers();
  });

  async function subscribe(channel: TestChannel, requestId: string | number, room: number): Promise<void> {
    channel.send({ action: 'subscribe_to_room', request_id: requestId, room });
    expect(await channel.receive()).to.include({ response_status: 201, request_id: requestId });
  }

  it('tells a create, an update and a delete in frames of five keys', async () => {
    await subscribe(rooms, 7, 1);
    const message = em.create(Message, { room: 1, text: 'one' });
    await em.flush();
    expect(await rooms.receive()).to.deep.equal({
      errors: [],
      data: { id: 2, room: 1, text: 'one' },
      action: 'create',
      response_status: 200,
      request_id: 7,
    });
    message.text = 'two';
    await em.flush();
    expect(await rooms.receive()).to.deep.equal({
      errors: [],
      data: { id: 2, room: 1, text: 'two' },
      action: 'update',
      response_status: 200,
      request_id: 7,
    });
    em.remove(message);
    await em.flush();
    expect(await rooms.receive()).to.deep.equal({
      errors: [],
      data: { pk: 2 },
      action: 'delete',
      response_status: 204,
      request_id: 7,
    });
    await rooms.expectSilence();
  });

  describe('begins with a write', () => {
    beforeEach(() => subscribe(rooms, 7, 1));

    it('of an action that flushes', async () => {
      expect(await messages.request('say_and_flush', { room: 1 })).to.include({ response_status: 200 });
      expect(await rooms.receive()).to.deep.include({ data: { id: 2, room: 1, text: 'flushed' } });
    });

    it('of a sync action, once it is committed', async () => {
      expect(await messages.request('say', { room: 1 })).to.include({ response_status: 200 });
      expect(await rooms.receive()).to.deep.include({ data: { id: 2, room: 1, text: 'sync' } });
    });

    it('of a mixin', async () => {
      expect(await messages.request('delete', { pk: 1 })).to.include({ response_status: 204, data: null });
      expect(await rooms.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    });

    it('of code outside of every connection', async () => {
      await em.transactional(async (inner) => void inner.create(Message, { room: 1, text: 'outside' }));
      expect(await rooms.receive()).to.deep.include({ data: { id: 2, room: 1, text: 'outside' } });
    });

    it('of a method with @Transactional', async () => {
      await RequestContext.create(database.orm.em, () => new Mover(database.orm.em).move(1, 2));
      expect(await rooms.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    });
  });

  describe('never begins', () => {
    beforeEach(() => subscribe(rooms, 7, 1));

    for (const action of ['say_and_throw', 'flush_and_throw', 'swallow']) {
      it(`where the action is rolled back: ${action}`, async () => {
        expect(await messages.request(action, { room: 1 })).to.include({ response_status: 500 });
        await rooms.expectSilence();
        expect(await em.count(Message)).to.equal(1);
      });
    }

    it('where the action ran past its time limit', async () => {
      const reply = messages.request('flush_and_linger', { room: 1 });
      await flushed.promise;
      clock.advance(20);
      expect(await reply).to.include({ response_status: 504 });
      await rooms.expectSilence();
      expect(await em.count(Message)).to.equal(1);
    });

    it('where its client left before the commit', async () => {
      await using bob = await connect(app, '/ws/');
      bob.channel('messages').send({ action: 'flush_and_linger', request_id: 1, room: 1 });
      bob.close();
      expect(await messages.request('say', { room: 1 })).to.include({ response_status: 200 });
      expect((await rooms.receive()).data).to.include({ text: 'sync' });
      await rooms.expectSilence();
    });

    it('for the rolled-back one of two savepoints', async () => {
      expect(await messages.request('say_in_savepoints', { room: 1 })).to.include({ response_status: 200 });
      expect(await rooms.receive()).to.deep.include({ data: { id: 2, room: 1, text: 'released' } });
      await rooms.expectSilence();
    });

    it('for a commit whose changes cancel out, whether or not the observer has groups', async () => {
      const audit = ann.channel('audit');
      await audit.request('subscribe_to_all');
      await em.transactional(async (inner) => {
        const message = inner.create(Message, { room: 1, text: 'brief' });
        await inner.flush();
        inner.remove(message);
      });
      await rooms.expectSilence();
      await audit.expectSilence();
    });
  });

  describe('ends in one event per subscription', () => {
    it('however many changes of the row one commit made', async () => {
      await subscribe(rooms, 7, 1);
      await em.transactional(async (inner) => {
        const message = inner.create(Message, { room: 2, text: 'one' });
        await inner.flush();
        message.room = inner.getReference(Room, 1);
        await inner.flush();
        message.text = 'two';
      });
      expect(await rooms.receive()).to.deep.include({ action: 'create', data: { id: 2, room: 1, text: 'two' } });
      await rooms.expectSilence();
    });

    it('and is a delete for the group that a row leaves, a create for the one that it enters', async () => {
      await using bob = await connect(app, '/ws/');
      await subscribe(rooms, 'red', 1);
      await subscribe(bob.channel('rooms'), 'blue', 2);
      (await em.findOneOrFail(Message, 1)).room = em.getReference(Room, 2);
      await em.flush();
      expect(await rooms.receive()).to.deep.include({ request_id: 'red', action: 'delete', data: { pk: 1 } });
      expect(await bob.channel('rooms').receive()).to.deep.include({
        request_id: 'blue',
        action: 'create',
        data: { id: 1, room: 2, text: 'hi' },
      });
      await rooms.expectSilence();
      await bob.channel('rooms').expectSilence();
    });

    it('and is one update for a subscription in both groups', async () => {
      await subscribe(rooms, 7, 1);
      await subscribe(rooms, 7, 2);
      (await em.findOneOrFail(Message, 1)).room = em.getReference(Room, 2);
      await em.flush();
      expect(await rooms.receive()).to.deep.include({ action: 'update', data: { id: 1, room: 2, text: 'hi' } });
      await rooms.expectSilence();
    });

    it('and is a delete and a create for two subscriptions of one connection', async () => {
      await subscribe(rooms, 'red', 1);
      await subscribe(rooms, 'blue', 2);
      (await em.findOneOrFail(Message, 1)).room = em.getReference(Room, 2);
      await em.flush();
      expect(await rooms.receive()).to.include({ request_id: 'red', action: 'delete' });
      expect(await rooms.receive()).to.include({ request_id: 'blue', action: 'create' });
      await rooms.expectSilence();
    });
  });

  describe('tells a delete to the groups that the row was in', () => {
    beforeEach(() => subscribe(rooms, 7, 1));

    for (const { title, write } of [
      {
        title: 'although it was deleted by reference',
        write: (manager: EntityManager) => manager.remove(manager.getReference(Message, 1)),
      },
      {
        title: 'although it was loaded in part',
        write: async (manager: EntityManager) =>
          manager.remove(await manager.findOneOrFail(Message, 1, { fields: ['text'] })),
      },
      {
        title: 'although it was moved by reference',
        write: (manager: EntityManager) =>
          manager.assign(manager.getReference(Message, 1), { room: manager.getReference(Room, 2) }),
      },
    ]) {
      it(title, async () => {
        await write(em);
        await em.flush();
        expect(await rooms.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
        await rooms.expectSilence();
      });
    }
  });

  it('shows each of two fast commits with its own columns', async () => {
    await subscribe(rooms, 7, 1);
    const message = await em.findOneOrFail(Message, 1);
    for (const text of ['one', 'two', 'three']) {
      message.text = text;
      await em.flush();
    }
    em.remove(message);
    await em.flush();
    expect(await rooms.receive()).to.deep.include({ data: { id: 1, room: 1, text: 'one' } });
    expect(await rooms.receive()).to.deep.include({ data: { id: 1, room: 1, text: 'two' } });
    expect(await rooms.receive()).to.deep.include({ data: { id: 1, room: 1, text: 'three' } });
    expect(await rooms.receive()).to.deep.include({ data: { pk: 1 } });
  });

  it('takes a change of a many-to-many collection for an update of its owner', async () => {
    rooms.send({ action: 'subscribe_instance', request_id: 'i', pk: 1 });
    await rooms.receive();
    const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
    room.members.add(em.getReference(User, 1), em.getReference(User, 2));
    await em.flush();
    expect(await rooms.receive()).to.deep.include({
      request_id: 'i',
      action: 'update',
      data: { id: 1, name: 'red', members: [1, 2] },
    });
    await rooms.request('patch', { pk: 1, data: { members: [2] } });
    expect(await rooms.receive()).to.deep.include({ data: { id: 1, name: 'red', members: [2] } });
    await rooms.expectSilence();
  });

  it('serializes a change once, for all subscribers of all observers with this serializer', async () => {
    await using bob = await connect(app, '/ws/');
    await subscribe(rooms, 1, 1);
    await subscribe(rooms, 2, 1);
    await subscribe(bob.channel('rooms'), 1, 1);
    await bob.channel('audit').request('subscribe_to_all');
    em.create(Message, { room: 1, text: 'one' });
    await em.flush();
    for (const channel of [rooms, rooms, bob.channel('rooms'), bob.channel('audit')]) {
      expect(await channel.receive()).to.deep.include({ action: 'create', data: { id: 2, room: 1, text: 'one' } });
    }
    expect(shown).to.deep.equal([2]);
  });

  it('serializes nothing for a delete', async () => {
    await subscribe(rooms, 1, 1);
    em.remove(em.getReference(Message, 1));
    await em.flush();
    await rooms.receive();
    expect(shown).to.deep.equal([]);
  });

  it('sends all that one commit has for a client in one write', async () => {
    const server = createServer();
    const writes = writesOf(server);
    await app.attach(server);
    await using client = await SocketClient.open(`ws://127.0.0.1:${await listening(server)}/ws/`);
    for (const room of [1, 2])
      client.send({ stream: 'rooms', payload: { action: 'subscribe_to_room', request_id: room, room } });
    client.send({ stream: 'audit', payload: { action: 'subscribe_to_all', request_id: 3 } });
    for (let replies = 0; replies < 3; replies += 1) {
      expect(await client.receive()).to.have.nested.include({ 'payload.response_status': 201 });
    }
    await em.transactional(async (inner) => {
      for (const room of [1, 2, 1]) inner.create(Message, { room, text: 'hi' });
    });
    await app.idle();
    const events = writes.map((text) => text.split('"action":"create"').length - 1);
    expect(events.filter((count) => count > 0)).to.deep.equal([6]);
    server.close();
  });

  it('ends where the connection ends', async () => {
    await subscribe(rooms, 1, 1);
    ann.close();
    em.create(Message, { room: 1, text: 'one' });
    await em.flush();
    await rooms.expectSilence();
  });
});
