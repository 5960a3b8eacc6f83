import { createHook } from 'node:async_hooks';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  type App,
  any,
  Consumer,
  createApp,
  type Delivery,
  DetailAction,
  type GivenSettings,
  GroupsForBoth,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  ObserveInstance,
  type Permission,
  Permissions,
  path,
  RevokedBy,
  type Subscription,
  Throttled,
} from 'signalbox';
import { connect, type MemoryLogger, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { SubscriptionIndex, type SubscriptionRecord } from '#signalbox/observers/subscriptions.js';
import { useDatabase } from '../support/database.js';
import { revoked } from '../support/frames.js';
import { testProviders } from '../support/providers.js';
import { RoomKey } from '../support/rooms.js';
import { Note, NoteObserver, NoteSerializer, Seat, SeatObserver, SeatSerializer } from '../support/seats.js';

let asked: string[] = [];

@injectable()
class HasSeat implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission({ action, kwargs, requestId, isDelivery }: ActionContext) {
    asked.push(`${isDelivery ? 'delivery' : 'request'} ${action} ${JSON.stringify(kwargs)} #${requestId}`);
    return (await this.em.count(Seat, { room: Number(kwargs['room']) })) > 0;
  }
}

/** Lets clients read and follow, and nothing else. */
class ReadsOnly implements Permission {
  hasPermission({ action }: ActionContext) {
    return !['create', 'update', 'delete', 'patch'].includes(action);
  }
}

let closedRoom = 0;

class IsOpen implements Permission {
  hasPermission({ action, isDelivery }: ActionContext) {
    asked.push(`${isDelivery ? 'delivery' : 'request'} ${action}`);
    return true;
  }

  hasObjectPermission(_context: ActionContext, object: object) {
    asked.push('object');
    return (object as Seat).room !== closedRoom;
  }
}

class OnlyLoud implements Permission {
  canReceive({ data }: Delivery) {
    return (data as { text?: string }).text === 'LOUD';
  }
}

/** One request of each client, and no more. */
class OncePerConnection implements Permission {
  hasPermission({ scope }: ActionContext) {
    if (seen.has(scope)) throw new Throttled();
    seen.add(scope);
    return true;
  }
}

let seen = new WeakSet<object>();

@Consumer()
class NoteConsumer extends NoteObserver {
  @Action({ status: 201, permissions: [HasSeat] })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }

  @Action({ status: 201, permissions: [OnlyLoud] })
  async followLoud({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }

  @Action({ status: 201, permissions: [OncePerConnection] })
  async followOnce({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }
}

@Consumer()
class RevocableConsumer extends NoteConsumer {
  @Action({ status: 201, permissions: [any(HasSeat, OnlyLoud)] })
  async followSomehow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }

  @RevokedBy('onNote', () => Seat)
  protected *roomOfSeat({ room }: Seat) {
    yield `room-${room}`;
  }
}

@Consumer()
class OpenConsumer extends mix(ModelConsumer(Note, { serializer: NoteSerializer }), ObserveInstance) {}

@Consumer()
@Permissions(ReadsOnly)
class ReadOnlyConsumer extends OpenConsumer {}

abstract class WatchedSeats extends SeatObserver {
  @ModelObserver(() => Seat, { serializer: SeatSerializer })
  async onSeat(event: ModelEvent<SeatSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }

  @GroupsForBoth('onSeat')
  protected *allSeats(_subject: unknown) {
    yield 'all';
  }

  @DetailAction({ status: 201 })
  async followSeats(_seat: Seat, context: ActionContext) {
    await this.subscribe(this.onSeat, {}, context);
  }
}

@Consumer()
@Permissions(IsOpen)
class SeatConsumer extends WatchedSeats {}

@Consumer()
class NarrowedConsumer extends WatchedSeats {
  protected override getQuery() {
    return { room: { $ne: closedRoom } };
  }
}

/** Counts the promises that each delivery makes before it returns. */
class WatchedSubscriptions extends SubscriptionIndex {
  readonly promises: number[] = [];

  override add(group: string, record: SubscriptionRecord) {
    const { receiver } = record;
    const receive = receiver.receive.bind(receiver);
    receiver.receive = (message, own) => {
      let promises = 0;
      const hook = createHook({ init: (_id, type) => type === 'PROMISE' && ++promises }).enable();
      receive(message, own);
      hook.disable();
      this.promises.push(promises);
    };
    super.add(group, record);
  }
}

describe('At the delivery of an event', () => {
  const database = useDatabase('right_question', [Seat, Note]);
  let clock: TestClock;
  let logger: MemoryLogger;
  let subscribed: WatchedSubscriptions;
  let app: App;

  beforeEach(async () => {
    asked = [];
    seen = new WeakSet();
    closedRoom = 0;
    await database.orm.em.execute(
      `insert into seat (room) values (1); insert into note (room, text) values (1, 'old')`,
    );
    app = application();
  });
  afterEach(() => app.close());

  function application(settings: GivenSettings = {}): App {
    const { container, ...providers } = testProviders();
    ({ clock, logger } = providers);
    subscribed = new WatchedSubscriptions();
    container.registerInstance(SubscriptionIndex, subscribed);
    const routes = [
      path('/ws/', NoteConsumer),
      path('/revocable/', RevocableConsumer),
      path('/open/', OpenConsumer),
      path('/rows/', ReadOnlyConsumer),
      path('/seats/', SeatConsumer),
      path('/narrowed/', NarrowedConsumer),
    ];
    return createApp({
      orm: database.orm,
      container,
      routes,
      settings: { log: { actions: 'all' }, ...settings },
    });
  }

  async function following(url: string, action = 'follow', kwargs: object = { room: 1 }): Promise<TestConnection> {
    const connection = await connect(app, url);
    expect(await connection.request(action, { ...kwargs, request_id: 7 })).to.include({ response_status: 201 });
    return connection;
  }

  async function write(text: string): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Note, { room: 1, text });
    await em.flush();
  }

  async function unseat(): Promise<void> {
    const em = database.orm.em.fork();
    em.remove(await em.findOneOrFail(Seat, { room: 1 }));
    await em.flush();
  }

  async function seat(): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Seat, { room: 1 });
    await em.flush();
  }

  it('the permissions of the action that subscribed keep it from a client that would be refused now', async () => {
    await using ann = await following('/ws/');
    await write('heard');
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 2, text: 'heard' } });
    await unseat();
    await write('secret');
    await ann.expectSilence();
    expect(JSON.stringify(ann.frames)).not.to.contain('secret');
    expect(logger.entries.map(({ message }) => message)).to.include(
      'withhold create NoteConsumer.onNote 3 from #7: @Permissions(HasSeat)',
    );
    await seat();
    await write('heard again');
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 4, text: 'heard again' } });
  });

  it('they are asked once, with the name, the kwargs and the id of the request that subscribed', async () => {
    await using ann = await following('/ws/');
    await write('hi');
    await ann.receive();
    expect(asked).to.deep.equal(['request follow {"room":1} #7', 'delivery follow {"room":1} #7']);
  });

  it('a permission that refuses `update` to requests refuses no event of a row', async () => {
    await using ann = await following('/rows/', 'subscribe_instance', { pk: 1 });
    const em = database.orm.em.fork();
    const note = await em.findOneOrFail(Note, 1);
    note.text = 'new';
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, text: 'new' } });
    em.remove(note);
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
  });

  it('`canReceive` of the action that subscribed narrows single events', async () => {
    await using ann = await following('/ws/', 'follow_loud');
    await write('quiet');
    await write('LOUD');
    expect(await ann.receive()).to.deep.include({ data: { id: 3, text: 'LOUD' } });
    await ann.expectSilence();
  });

  it('a throttle has no opinion', async () => {
    await using ann = await following('/ws/', 'follow_once');
    await write('hi');
    expect(await ann.receive()).to.deep.include({ data: { id: 2, text: 'hi' } });
    expect(await ann.request('follow_once', { room: 1 })).to.include({ response_status: 429 });
  });

  it('the object of a detail action is asked for, each permission once', async () => {
    await using ann = await following('/seats/', 'follow', { pk: 1 });
    expect(asked).to.deep.equal(['request follow', 'object']);
    asked = [];
    await write('heard');
    expect(await ann.receive()).to.deep.include({ data: { id: 2, text: 'heard' } });
    expect(asked).to.deep.equal(['delivery follow', 'object']);
    closedRoom = 1;
    await write('secret');
    await ann.expectSilence();
  });

  it('the object of a detail action has to be among the rows of the query', async () => {
    await using ann = await following('/narrowed/', 'follow', { pk: 1 });
    await write('heard');
    expect(await ann.receive()).to.deep.include({ data: { id: 2, text: 'heard' } });
    closedRoom = 1;
    await write('secret');
    await ann.expectSilence();
  });

  for (const url of ['/seats/', '/narrowed/']) {
    it(`the delete of the object itself is told: ${url}`, async () => {
      await using ann = await following(url, 'follow_seats', { pk: 1 });
      await unseat();
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    });
  }

  it('a consumer without permissions waits for nothing: no promise is made', async () => {
    await using ann = await following('/open/', 'subscribe_instance', { pk: 1 });
    await using bob = await following('/rows/', 'subscribe_instance', { pk: 1 });
    const em = database.orm.em.fork();
    (await em.findOneOrFail(Note, 1)).text = 'new';
    await em.flush();
    for (const one of [ann, bob]) expect(await one.receive()).to.deep.include({ data: { id: 1, text: 'new' } });
    expect(subscribed.promises).to.have.lengthOf(2);
    expect(subscribed.promises[0]).to.equal(0);
    expect(subscribed.promises[1]).to.be.above(0);
  });

  describe('where @RevokedBy says what the right depends on', () => {
    it('nothing is asked once the permissions have said yes, until that changes', async () => {
      await using ann = await following('/revocable/');
      for (const text of ['one', 'two', 'three']) await write(text);
      for (const id of [2, 3, 4]) expect(await ann.receive()).to.have.nested.property('data.id', id);
      const once = ['request follow {"room":1} #7', 'delivery follow {"room":1} #7'];
      expect(asked).to.deep.equal(once);
      await seat();
      await ann.expectSilence();
      expect(asked).to.deep.equal([...once, 'delivery follow {"room":1} #7']);
      await write('four');
      expect(await ann.receive()).to.have.nested.property('data.id', 5);
      expect(asked).to.have.lengthOf(3);
    });

    it('the first event after 30 s asks again, and ends what no change was reported of', async () => {
      await using ann = await following('/revocable/');
      await write('one');
      await ann.receive();
      await database.orm.em.fork().nativeDelete(Seat, {});
      clock.advance(29_999);
      await write('two');
      expect(await ann.receive()).to.have.nested.property('data.text', 'two');
      clock.advance(1);
      await write('secret');
      expect(await ann.receive()).to.deep.equal(revoked(7));
      await ann.expectSilence();
      expect(JSON.stringify(ann.frames)).not.to.contain('secret');
    });

    it('each event asks where grantTimeLimit is 0', async () => {
      await app.close();
      app = application({ grantTimeLimit: 0 });
      await using ann = await following('/revocable/');
      await write('one');
      await ann.receive();
      await database.orm.em.fork().nativeDelete(Seat, {});
      await write('secret');
      expect(await ann.receive()).to.deep.equal(revoked(7));
    });

    it('`canReceive` is asked at each event, beside what the other permissions said', async () => {
      await using ann = await following('/revocable/', 'follow_somehow');
      await write('quiet');
      expect(await ann.receive()).to.have.nested.property('data.text', 'quiet');
      await write('LOUD');
      expect(await ann.receive()).to.have.nested.property('data.text', 'LOUD');
      expect(asked.filter((each) => each.startsWith('delivery'))).to.have.lengthOf(1);
    });
  });
});

describe('A request for an object', () => {
  const database = useDatabase('right_question_requests', [Seat, Note]);

  it('asks each permission for its action once', async () => {
    asked = [];
    closedRoom = 0;
    await database.orm.em.execute('insert into seat (room) values (1)');
    const app = createApp({ orm: database.orm, routes: [path('/seats/', SeatConsumer)] });
    await using ann = await connect(app, '/seats/');
    expect(await ann.request('retrieve', { pk: 1 })).to.deep.include({ data: { id: 1, room: 1 } });
    expect(asked).to.deep.equal(['request retrieve', 'object']);
    await app.close();
  });
});
