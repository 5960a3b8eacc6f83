import { EntityManager } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  type Delivery,
  GroupsForConsumer,
  GroupsForSignal,
  Logger,
  type ModelEvent,
  Observer,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable, container as rootContainer } from 'tsyringe';
import { SubscriptionIndex } from '#signalbox/observers/subscriptions.js';
import { bells } from '../support/bells.js';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Message } from '../support/entities.js';
import { MessageObserver, MessageSerializer, RoomKey } from '../support/rooms.js';

let gate = Promise.withResolvers<void>();

@Consumer()
class RoomConsumer extends MessageObserver {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @Action({ status: 201 })
  async subscribeAndSay({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
    await this.say({ room });
    await gate.promise;
  }

  @Action({ status: 201, detached: true })
  async subscribeDetached({ room }: RoomKey, context: ActionContext) {
    await this.subscribeAndSay({ room }, context);
  }

  @Action()
  async subscribeAndFail({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
    await this.say({ room });
    throw new PermissionDenied();
  }

  @Action({ timeLimit: 20 })
  async subscribeTooLate({ room }: RoomKey, context: ActionContext) {
    await gate.promise;
    await this.subscribe(this.onMessage, { room }, context).finally(() => late.resolve());
  }

  @Action({ status: 204 })
  async leave({ room }: RoomKey, context: ActionContext) {
    await this.unsubscribe(this.onMessage, { room }, context);
  }

  @Action({ status: 204 })
  async leaveEverywhere({ room }: RoomKey) {
    await this.unsubscribe(this.onMessage, { room });
  }

  @Action()
  async say({ room }: RoomKey) {
    this.em.create(Message, { room, text: 'hi' });
    await this.em.flush();
  }

  @Action()
  async saySlowly({ room }: RoomKey) {
    await this.say({ room });
    await gate.promise;
  }
}

let refusal = Promise.withResolvers<unknown>();

/** Subscribes when its action has returned already. */
@Consumer()
class TardyConsumer extends ApiConsumer {
  @Observer(bells)
  async onBell(event: SignalEvent<{ readonly bell: string }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onBell')
  protected *groupsOfBell() {
    yield 'all';
  }

  @GroupsForConsumer('onBell')
  protected async *groupsOfListener() {
    await gate.promise;
    yield 'all';
  }

  @Action({ status: 201 })
  async listenUnawaited(context: ActionContext) {
    this.subscribe(this.onBell, {}, context).catch(refusal.resolve);
  }

  @Action({ status: 201 })
  async listenAfterwards(context: ActionContext) {
    void gate.promise.then(() => this.subscribe(this.onBell, {}, context)).catch(refusal.resolve);
  }

  @Action({ status: 201 })
  async followAfterwards() {
    void gate.promise.then(() => this.subscribe(this.onBell, {}, { requestId: 'own' })).catch(refusal.resolve);
  }
}

const asked: Omit<Delivery, 'scope'>[] = [];

@injectable()
class OnlyKind implements Permission {
  canReceive({ scope, action, pk, data }: Delivery) {
    asked.push({ action, pk, data });
    if (scope.query.get('mood') === 'broken') throw new Error('canReceive');
    return scope.query.get('mood') === 'kind';
  }
}

let isBanned = false;
let closedRoom = 0;

@injectable()
class IsOpen implements Permission {
  hasPermission({ kwargs }: ActionContext) {
    return kwargs['room'] !== closedRoom;
  }
}

@injectable()
class IsWelcome implements Permission {
  hasPermission() {
    return !isBanned;
  }
}

@Consumer()
class MarkingConsumer extends RoomConsumer {
  override async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    Object.assign(event.data, { text: 'mine' });
    await subscription.send(event);
  }
}

/** Joins a group for each event. */
@Consumer()
class JoiningConsumer extends RoomConsumer {
  @Action({ status: 201 })
  async subscribeSlowly({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
    late.resolve();
    await gate.promise;
  }

  override async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await this.addGroup('listeners');
    await subscription.send(event);
  }
}

@Consumer()
@Permissions(IsWelcome)
class WelcomingConsumer extends RoomConsumer {}

@Consumer()
@Permissions(IsOpen)
class OpenConsumer extends RoomConsumer {}

@Consumer()
@Permissions(OnlyKind)
class GuardedConsumer extends RoomConsumer {}

let late = Promise.withResolvers<void>();

describe('The delivery of events', () => {
  const database = useDatabase('deliveries');
  let heard: SubscriptionIndex;
  let logger: MemoryLogger;
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    gate = Promise.withResolvers();
    late = Promise.withResolvers();
    refusal = Promise.withResolvers();
    asked.splice(0);
    await database.orm.em.execute(`insert into room (name, archived) values ('red', false), ('blue', false)`);
    logger = new MemoryLogger();
    const container = rootContainer.createChildContainer();
    heard = new SubscriptionIndex();
    container.registerInstance(Logger, logger);
    container.registerInstance(SubscriptionIndex, heard);
    const routes = [
      path('/ws/', RoomConsumer),
      path('/guarded/', GuardedConsumer),
      path('/welcome/', WelcomingConsumer),
      path('/open/', OpenConsumer),
      path('/marking/', MarkingConsumer),
      path('/tardy/', TardyConsumer),
      path('/joining/', JoiningConsumer),
    ];
    app = createApp({ orm: database.orm, container, routes });
    ann = await connect(app, '/ws/');
  });
  afterEach(() => app.close());

  async function subscribe(requestId: string | number, room = 1, to = ann): Promise<void> {
    to.send({ action: 'subscribe_to_room', request_id: requestId, room });
    expect(await to.receive()).to.include({ response_status: 201, request_id: requestId });
  }

  async function write(room = 1, { em: root }: MikroORM = database.orm): Promise<void> {
    const em = root.fork();
    em.create(Message, { room, text: 'hi' });
    await em.flush();
  }

  async function requestIds(count: number): Promise<unknown[]> {
    const frames = [];
    while (frames.length < count) frames.push(await ann.receive());
    await ann.expectSilence();
    return frames.map(({ request_id }) => request_id);
  }

  it('decodes a change once for all its subscriptions', async () => {
    await using bob = await connect(app, '/guarded/?mood=kind');
    await using cid = await connect(app, '/guarded/?mood=kind');
    await subscribe('b', 1, bob);
    await subscribe('c', 1, cid);
    await write();
    await Promise.all([bob.receive(), cid.receive()]);
    expect(asked.map(({ data }) => data)).to.deep.equal([
      { id: 1, text: 'hi' },
      { id: 1, text: 'hi' },
    ]);
    expect(asked[0]?.data).to.equal(asked[1]?.data);
  });

  it('encodes the data of a delete once for all its subscriptions', async () => {
    await using bob = await connect(app, '/ws/');
    await write();
    await subscribe('a');
    await subscribe('b', 1, bob);
    await subscribe('c', 1, bob);
    const { stringify } = JSON;
    const encoded: unknown[] = [];
    JSON.stringify = (value: unknown, ...more: never[]) => {
      if (Object.keys(Object(value)).join() === 'pk') encoded.push(value);
      return stringify(value, ...more);
    };
    try {
      const em = database.orm.em.fork();
      em.remove(await em.findOneOrFail(Message, 1));
      await em.flush();
      const frames = [await ann.receive(), await bob.receive(), await bob.receive()];
      expect(frames.map(({ action, data }) => ({ action, data }))).to.deep.equal(
        Array(3).fill({ action: 'delete', data: { pk: 1 } }),
      );
    } finally {
      JSON.stringify = stringify;
    }
    expect(encoded).to.deep.equal([{ pk: 1 }]);
  });

  it('asks the permissions of the subscription again', async () => {
    isBanned = false;
    await using bob = await connect(app, '/welcome/');
    await subscribe('s', 1, bob);
    await write();
    expect(await bob.receive()).to.include({ request_id: 's' });
    isBanned = true;
    await write();
    await bob.expectSilence();
  });

  it('asks with what the request subscribed through which it comes, where a request id was used for several', async () => {
    closedRoom = 0;
    await using bob = await connect(app, '/open/');
    await subscribe('s', 1, bob);
    await subscribe('s', 2, bob);
    closedRoom = 2;
    await write(2);
    await bob.expectSilence();
    await write(1);
    expect(await bob.receive()).to.include({ request_id: 's' });
  });

  it('is none of a change that was committed before the subscription', async () => {
    await write();
    await subscribe('s');
    await ann.expectSilence();
    await write();
    expect(await ann.receive()).to.deep.include({ request_id: 's', data: { id: 2, text: 'hi' } });
  });

  describe('of another process', () => {
    const elsewhere = useSecondOrm(database);
    let other: App;

    beforeEach(async () => {
      other = createApp({ orm: elsewhere.orm, routes: [path('/ws/', RoomConsumer)] });
      await other.start();
    });
    afterEach(() => other.close());

    it('is none of a change that was committed before the subscription, and not read', async () => {
      await write(1, elsewhere.orm);
      await subscribe('s');
      await app.idle();
      await ann.expectSilence();
      await write(1, elsewhere.orm);
      await app.idle();
      expect(await ann.receive()).to.deep.include({ request_id: 's', data: { id: 2, text: 'hi' } });
    });

    it('is none of a change that was committed before the subscription had these groups as well', async () => {
      await subscribe('s', 1);
      await write(2, elsewhere.orm);
      await subscribe('s', 2);
      await app.idle();
      await ann.expectSilence();
      await write(1, elsewhere.orm);
      await write(2, elsewhere.orm);
      await app.idle();
      expect(await requestIds(2)).to.deep.equal(['s', 's']);
    });
  });

  it('comes after the reply to the request that made the change', async () => {
    await subscribe('s');
    ann.send({ action: 'say', request_id: 'w', room: 1 });
    expect(await requestIds(2)).to.deep.equal(['w', 's']);
  });

  it('of a change by a request still running comes after its reply, and so do the changes behind it', async () => {
    await using bob = await connect(app, '/ws/');
    await subscribe('b', 1, bob);
    await subscribe('s');
    ann.send({ action: 'say_slowly', request_id: 'w', room: 1 });
    await bob.receive();
    await write();
    await bob.receive();
    expect(ann.frames.map(({ request_id }) => request_id)).to.deep.equal(['s']);
    gate.resolve();
    expect(await requestIds(3)).to.deep.equal(['w', 's', 's']);
  });

  it('comes after the reply to the request that subscribed, although that very request commits the change', async () => {
    await using bob = await connect(app, '/ws/');
    await subscribe('b', 1, bob);
    ann.send({ action: 'subscribe_and_say', request_id: 's', room: 1 });
    await bob.receive();
    await write();
    await bob.receive();
    expect(ann.frames).to.deep.equal([]);
    gate.resolve();
    expect(await ann.receive()).to.include({ action: 'subscribe_and_say', response_status: 201 });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, text: 'hi' } });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 2, text: 'hi' } });
    await ann.expectSilence();
  });

  it('to a detached subscribing action comes after its reply, and does not wait for it elsewhere', async () => {
    await subscribe('s');
    ann.send({ action: 'subscribe_detached', request_id: 'd', room: 1 });
    expect(await ann.receive()).to.include({ request_id: 's', action: 'create' });
    expect(await ann.request('say', { room: 1 })).to.include({ response_status: 200 });
    expect(await ann.receive()).to.include({ request_id: 's', action: 'create' });
    await ann.expectSilence();
    gate.resolve();
    expect(await ann.receive()).to.include({ request_id: 'd', response_status: 201 });
    expect(await requestIds(2)).to.deep.equal(['d', 'd']);
  });

  it('never happens for a subscription whose action failed', async () => {
    expect(await ann.request('subscribe_and_fail', { room: 1 })).to.include({ response_status: 403 });
    await ann.expectSilence();
    await write();
    await ann.expectSilence();
    expect(heard.groups.size).to.equal(0);
  });

  it('goes on for a subscription that a failing action has asked for again, and for no more than it had', async () => {
    await subscribe('s', 1);
    ann.send({ action: 'subscribe_and_fail', request_id: 's', room: 2 });
    expect(await ann.receive()).to.include({ response_status: 403 });
    await write(2);
    await ann.expectSilence();
    await write(1);
    expect(await requestIds(1)).to.deep.equal(['s']);
  });

  it('never happens for a subscription that an abandoned action makes after its reply', async () => {
    expect(await ann.request('subscribe_too_late', { room: 1 })).to.include({ response_status: 504 });
    gate.resolve();
    await late.promise;
    await write();
    await ann.expectSilence();
    expect(heard.groups.size).to.equal(0);
  });

  for (const [title, action] of [
    ['an action does not await', 'listen_unawaited'],
    ['the code of an action makes after its reply', 'listen_afterwards'],
    ['the consumer itself makes in the code of an action after its reply', 'follow_afterwards'],
  ] as const)
    it(`never happens for a subscription that ${title}, which is refused`, async () => {
      await using bob = await connect(app, '/tardy/');
      expect(await bob.request(action)).to.include({ response_status: 201 });
      gate.resolve();
      expect(String(await within(refusal.promise, 'The refusal'))).to.equal(
        'Cancelled: The request has ended already.',
      );
      expect(heard.groups.size).to.equal(0);
    });

  it('is no part of the request that subscribed, which has ended when its first event is delivered', async () => {
    await using bob = await connect(app, '/joining/');
    bob.send({ action: 'subscribe_slowly', request_id: 's', room: 1 });
    await within(late.promise, 'The subscription');
    await write();
    await app.idle();
    gate.resolve();
    expect(await bob.receive()).to.include({ action: 'subscribe_slowly', response_status: 201 });
    expect(await bob.receive()).to.include({ action: 'create', request_id: 's' });
    expect(logger.at('error')).to.deep.equal([]);
  });

  it('happens once for a request id that subscribed twice', async () => {
    await subscribe('s');
    await subscribe('s');
    await write();
    expect(await requestIds(1)).to.deep.equal(['s']);
  });

  it('happens for each of two subscriptions of the same rows', async () => {
    await subscribe(1);
    await subscribe('1');
    await write();
    expect(await requestIds(2)).to.deep.equal([1, '1']);
  });

  it('shares its data with all that are told, so that no method may change them', async () => {
    const bob = await connect(app, '/marking/');
    await subscribe(1);
    await subscribe(2, 1, bob);
    await write();
    expect(await ann.receive()).to.deep.include({ data: { id: 1, text: 'hi' }, request_id: 1 });
    await bob.expectSilence();
    const [entry] = logger.at('error');
    expect(entry).to.deep.include({ message: 'An event could not be delivered.' });
    expect(String(entry?.fields['error'])).to.match(/^TypeError: Cannot assign to read only property 'text'/);
  });

  it('needs a request id', async () => {
    ann.send({ action: 'subscribe_to_room', room: 1 });
    expect(await ann.receive()).to.deep.equal({
      errors: ['A subscription needs a request_id.'],
      data: null,
      action: 'subscribe_to_room',
      response_status: 400,
      request_id: null,
      code: 'parse_error',
    });
    expect(heard.groups.size).to.equal(0);
  });

  it('ends for the request id that unsubscribes, and for no other', async () => {
    await subscribe(1);
    await subscribe('1');
    ann.send({ action: 'leave', request_id: 1, room: 1 });
    expect(await ann.receive()).to.include({ request_id: 1, response_status: 204 });
    await write();
    expect(await requestIds(1)).to.deep.equal(['1']);
  });

  it('ends for all subscriptions with these kwargs where none is named', async () => {
    await subscribe(1, 1);
    await subscribe(2, 1);
    await subscribe(3, 2);
    expect(await ann.request('leave_everywhere', { room: 1 })).to.include({ response_status: 204 });
    await write(1);
    await write(2);
    expect(await requestIds(1)).to.deep.equal([3]);
  });

  it('ends for all subscriptions with these kwargs where the request has no id', async () => {
    await subscribe(1, 1);
    await subscribe(2, 2);
    ann.send({ action: 'leave', room: 1 });
    expect(await ann.receive()).to.include({ request_id: null, response_status: 204 });
    await write(1);
    await write(2);
    expect(await requestIds(1)).to.deep.equal([2]);
  });

  it('ends without an error where nothing was subscribed', async () => {
    expect(await ann.request('leave', { room: 1 })).to.include({ response_status: 204 });
    expect(await ann.request('leave_everywhere', { room: 1 })).to.include({ response_status: 204 });
  });

  it('leaves nothing behind a connection that is gone', async () => {
    await subscribe(1, 1);
    await subscribe(2, 2);
    expect(heard.groups.size).to.equal(2);
    ann.close();
    await app.idle();
    await app.close();
    expect(heard.groups.size).to.equal(0);
  });

  describe('where a permission is asked', () => {
    it('does not happen if it refuses, or throws', async () => {
      await using kind = await connect(app, '/guarded/?mood=kind');
      await using stern = await connect(app, '/guarded/?mood=stern');
      await using broken = await connect(app, '/guarded/?mood=broken');
      for (const connection of [kind, stern, broken]) await subscribe('s', 1, connection);
      await write();
      expect(await kind.receive()).to.deep.include({ request_id: 's', data: { id: 1, text: 'hi' } });
      for (const connection of [kind, stern, broken]) await connection.expectSilence();
      expect(asked).to.deep.equal(Array(3).fill({ action: 'create', pk: 1, data: { id: 1, text: 'hi' } }));
      expect(logger.at('error').map(({ message, fields }) => [message, String(fields['error'])])).to.deep.equal([
        ['An event could not be delivered.', 'Error: canReceive'],
      ]);
    });
  });
});
