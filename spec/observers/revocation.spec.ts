import { EntityManager } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  ObserveInstance,
  type Permission,
  PermissionDenied,
  path,
  Rechecker,
  RevokedBy,
  Signal,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestChannel, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { observersOf } from '#signalbox/observers/observer.js';
import { SubscriptionIndex } from '#signalbox/observers/subscriptions.js';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { revoked } from '../support/frames.js';
import { testProviders } from '../support/providers.js';
import { RoomKey } from '../support/rooms.js';
import { Note, NoteSerializer, Seat, SeatObserver } from '../support/seats.js';

interface Kick {
  readonly room: number;
}

const kicked = new Signal<Kick>();
const asked: string[] = [];
let isBroken = false;
let gate = Promise.withResolvers<void>();
let subscribedSlowly = Promise.withResolvers<void>();

/** Opinions on the subscribing actions alone, not on events. */
@injectable()
class HasSeat implements Permission {
  constructor(private readonly em: EntityManager) {}

  hasPermission({ scope, action, kwargs }: ActionContext) {
    if (!action.startsWith('follow') && action !== 'subscribe_instance') return true;
    if (isBroken) throw new Error('no answer');
    asked.push(`${name(scope.query)} ${action} ${JSON.stringify(kwargs)}`);
    if (action === 'subscribe_instance') return true;
    return this.#has({ room: Number(kwargs['room']), name: name(scope.query) });
  }

  hasObjectPermission({ scope }: ActionContext, object: object) {
    return this.#has({ room: (object as Note).room, name: name(scope.query) });
  }

  async #has(seat: { room: number; name: string }) {
    return (await this.em.count(Seat, seat)) > 0;
  }
}

function name(query: URLSearchParams): string {
  return query.get('name') ?? '';
}

abstract class Base extends ApiConsumer {
  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onNote')
  protected *groupsOfNote({ room }: Note) {
    yield `room-${room}`;
  }

  @GroupsForConsumer('onNote')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
    yield `room-${room}-${name(this.scope.query)}`;
  }

  @ModelObserver(() => Note)
  async onKey(event: ModelEvent<Note>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }
}

@Consumer()
class NoteConsumer extends Base {
  constructor(
    private readonly em: EntityManager,
    private readonly rechecker: Rechecker,
  ) {
    super();
  }

  @Action({ status: 201, permissions: [HasSeat] })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }

  @Action({ status: 201, permissions: [HasSeat] })
  async followTwice({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
    await this.subscribe(this.onKey, { room }, context);
  }

  @Action({ status: 201, permissions: [HasSeat] })
  async followInVain({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
    throw new PermissionDenied();
  }

  @Action({ status: 201, permissions: [HasSeat] })
  async followSlowly({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
    subscribedSlowly.resolve();
    await gate.promise;
  }

  @Action({ status: 204 })
  async leave({ room }: RoomKey) {
    this.em.remove(await this.em.findOneOrFail(Seat, { room, name: name(this.scope.query) }));
    await this.em.flush();
  }

  @Action({ status: 204, atomic: true })
  async leavePastTheOrm({ room }: RoomKey) {
    this.rechecker.recheck(NoteConsumer, 'onNote', [`room-${room}`]);
    await this.em.nativeDelete(Seat, { room, name: name(this.scope.query) });
  }

  @RevokedBy('onNote', () => Seat)
  protected *roomOfSeat(seat: Seat) {
    yield `room-${seat.room}-${seat.name}`;
  }

  @RevokedBy('onNote', kicked)
  protected *roomOfKick({ room }: Kick) {
    yield `room-${room}`;
  }
}

@Consumer()
class RowConsumer extends mix(ModelConsumer(Note, { serializer: NoteSerializer }), ObserveInstance) {
  @RevokedBy('onInstance', () => Seat)
  protected *allNotes() {
    yield '1';
    yield '2';
  }
}

/** Follows what is said of the object that the client named, which its query has to show. */
@Consumer()
class SeatConsumer extends SeatObserver {
  protected override getQuery() {
    return { name: name(this.scope.query) };
  }

  @RevokedBy('onNote', () => Seat)
  protected *roomOfSeat({ room }: Seat) {
    yield `room-${room}`;
  }
}

describe('A subscription whose right is revoked', () => {
  const database = useDatabase('revocation', [Seat, Note]);
  let heard: SubscriptionIndex;
  let logger: MemoryLogger;
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    asked.splice(0);
    isBroken = false;
    gate = Promise.withResolvers();
    subscribedSlowly = Promise.withResolvers();
    await database.orm.em.execute(
      `insert into seat (room, name) values (1, 'ann'), (2, 'ann'), (1, 'bob'); insert into note (room, text) values (1, 'old')`,
    );
    app = application();
    ann = await connect(app, '/ws/?name=ann');
  });
  afterEach(() => app.close());

  function application(orm: MikroORM = database.orm): App {
    const { container, logger: log } = testProviders();
    logger = log;
    heard = new SubscriptionIndex();
    container.registerInstance(SubscriptionIndex, heard);
    const routes = [path('/ws/', NoteConsumer), path('/seat/', SeatConsumer)];
    return createApp({ orm, container, routes });
  }

  async function follow(requestId: string | number, room = 1, to: TestChannel = ann, action = 'follow'): Promise<void> {
    expect(await to.request(action, { room, request_id: requestId })).to.include({ response_status: 201 });
  }

  async function takeSeat(em: EntityManager, room = 1, of = 'ann'): Promise<void> {
    em.remove(await em.findOneOrFail(Seat, { room, name: of }));
  }

  async function write(text: string, room = 1): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Note, { room, text });
    await em.flush();
  }

  async function unseat(room = 1, of = 'ann'): Promise<void> {
    const em = database.orm.em.fork();
    await takeSeat(em, room, of);
    await em.flush();
  }

  for (const { title, first } of [
    { title: 'before it', first: true },
    { title: 'behind it', first: false },
  ]) {
    it(`is told so once, and nothing of a row that the same transaction wrote ${title}`, async () => {
      await follow(7);
      // The answer of the permission is known from now on: no event asks it by itself.
      await write('heard');
      expect(await ann.receive()).to.deep.include({ data: { id: 2, text: 'heard' } });
      await database.orm.em.fork().transactional(async (em) => {
        const note = async () => {
          em.create(Note, { room: 1, text: 'secret' });
          await em.flush();
        };
        if (first) await note();
        await takeSeat(em);
        await em.flush();
        if (!first) await note();
      });
      expect(await ann.receive()).to.deep.equal(revoked(7));
      await write('secret too');
      await ann.expectSilence();
      expect(JSON.stringify(ann.frames)).not.to.contain('secret');
      expect(heard.groups.size).to.equal(0);
    });
  }

  it('ends where the object that its detail action named is shown no more, or permitted no more', async () => {
    await using seat = await connect(app, '/seat/?name=ann');
    expect(await seat.request('follow', { pk: 1, request_id: 7 })).to.include({ response_status: 201 });
    await unseat(1, 'bob');
    await write('hi');
    expect(await seat.receive()).to.deep.include({ action: 'create', data: { id: 2, text: 'hi' } });
    await unseat();
    await write('secret');
    expect(await seat.receive()).to.deep.equal(revoked(7));
    await seat.expectSilence();
  });

  it('is told so without waiting for an event', async () => {
    await follow(7);
    await unseat();
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('goes on where the transaction is rolled back', async () => {
    await follow(7);
    const failed = database.orm.em.fork().transactional(async (em) => {
      await takeSeat(em);
      await em.flush();
      throw new Error('no');
    });
    await failed.catch(() => {});
    await ann.expectSilence();
    await write('hi');
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 2, text: 'hi' } });
  });

  it('stays ended where the right is regained, until its client subscribes anew', async () => {
    await follow(7);
    await unseat();
    expect(await ann.receive()).to.deep.equal(revoked(7));
    const em = database.orm.em.fork();
    em.create(Seat, { room: 1, name: 'ann' });
    await em.flush();
    await write('unheard');
    await ann.expectSilence();
    await follow(7);
    await write('heard');
    expect(await ann.receive()).to.deep.include({ request_id: 7, data: { id: 3, text: 'heard' } });
  });

  it('leaves the other subscriptions, connections and rooms alone, and asks those only whom the change concerns', async () => {
    await using bob = await connect(app, '/ws/?name=bob');
    await follow(7);
    await follow(8, 2);
    await follow(9, 1, bob);
    asked.splice(0);
    await unseat();
    expect(await ann.receive()).to.deep.equal(revoked(7));
    expect(asked).to.deep.equal(['ann follow {"room":1}']);
    await write('one');
    await write('two', 2);
    expect(await bob.receive()).to.deep.include({ request_id: 9, data: { id: 2, text: 'one' } });
    expect(await ann.receive()).to.deep.include({ request_id: 8, data: { id: 3, text: 'two' } });
    await ann.expectSilence();
    await bob.expectSilence();
  });

  it('ends for all that one request id asked for, with one frame', async () => {
    await follow(7, 1, ann, 'follow_twice');
    await follow(7, 2);
    await unseat(2);
    expect(await ann.receive()).to.deep.equal(revoked(7));
    await write('unheard');
    await ann.expectSilence();
  });

  it('hears the reply first where its own request took the right away', async () => {
    await follow(7);
    ann.send({ action: 'leave', request_id: 'l', room: 1 });
    expect(await ann.receive()).to.include({ request_id: 'l', response_status: 204 });
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('hears the reply first where the right goes before that', async () => {
    ann.send({ action: 'follow_slowly', request_id: 7, room: 1 });
    await subscribedSlowly.promise;
    await unseat();
    await app.idle();
    expect(ann.frames).to.deep.equal([]);
    gate.resolve();
    expect(await ann.receive()).to.include({ action: 'follow_slowly', response_status: 201 });
    expect(await ann.receive()).to.deep.equal(revoked(7));
    await ann.expectSilence();
  });

  it('is asked again in every process', async () => {
    const elsewhere = await connectOrm(addressOf(database), { entities: [Seat, Note] });
    const other = application(elsewhere);
    await using bob = await connect(other, '/ws/?name=bob');
    await follow(7, 1, bob);
    await follow(8);
    await database.orm.em.fork().transactional(async (em) => {
      em.create(Note, { room: 1, text: 'secret' });
      await takeSeat(em, 1, 'bob');
    });
    await other.idle();
    expect(await bob.receive()).to.deep.equal(revoked(7));
    expect(await ann.receive()).to.include({ request_id: 8, action: 'create' });
    await other.idle();
    await bob.expectSilence();
    await ann.expectSilence();
    expect(JSON.stringify(bob.frames)).not.to.contain('secret');
    await other.close();
    await elsewhere.close();
  });

  it('is asked again when a signal is sent, once that is committed', async () => {
    await follow(7);
    await database.orm.em.fork().nativeDelete(Seat, { room: 1, name: 'ann' });
    await ann.expectSilence();
    kicked.send({ room: 2 });
    await ann.expectSilence();
    kicked.send({ room: 1 });
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('is asked again by hand, from the application', async () => {
    await follow(7);
    app.recheck(NoteConsumer, 'onNote', ['room-1']);
    await ann.expectSilence();
    await database.orm.em.fork().nativeDelete(Seat, { room: 1, name: 'ann' });
    app.recheck(NoteConsumer, 'onNote', ['room-1']);
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('is asked again by hand, after the commit of the action that asks', async () => {
    await follow(7);
    ann.send({ action: 'leave_past_the_orm', request_id: 'l', room: 1 });
    expect(await ann.receive()).to.include({ request_id: 'l', response_status: 204 });
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('is not asked again for a request that failed, although that had its request id and its groups', async () => {
    await follow(7);
    expect(await ann.request('follow_in_vain', { room: 1, request_id: 7 })).to.include({ response_status: 403 });
    asked.splice(0);
    app.recheck(NoteConsumer, 'onNote', ['room-1']);
    await ann.expectSilence();
    expect(asked).to.deep.equal(['ann follow {"room":1}']);
  });

  it('is asked by hand although it declares nothing', async () => {
    await follow(7, 1, ann, 'follow_twice');
    await database.orm.em.fork().nativeDelete(Seat, { room: 1, name: 'ann' });
    app.recheck(NoteConsumer, 'onKey', ['any: the observer has no groups']);
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('is asked by hand where its observer has no groups, and none are given', async () => {
    await follow(7, 1, ann, 'follow_twice');
    await database.orm.em.fork().nativeDelete(Seat, { room: 1, name: 'ann' });
    app.recheck(NoteConsumer, 'onKey', []);
    expect(await ann.receive()).to.deep.equal(revoked(7));
  });

  it('is told so in its stream, also where it is the permission to connect that is gone', async () => {
    let isWelcome = true;
    class IsWelcome implements Permission {
      canConnect() {
        return isWelcome;
      }
    }
    const routes = [path('/streams/', demultiplexer({ notes: NoteConsumer }))];
    const other = createApp({ orm: database.orm, permissions: [IsWelcome], routes });
    await using bob = await connect(other, '/streams/?name=bob');
    await follow(7, 1, bob.channel('notes'));
    isWelcome = false;
    kicked.send({ room: 1 });
    expect(await bob.channel('notes').receive()).to.deep.equal(revoked(7));
    await other.close();
  });

  it('hears nothing, and has not ended, where the permission fails', async () => {
    await follow(7);
    isBroken = true;
    kicked.send({ room: 1 });
    await write('unheard');
    await ann.expectSilence();
    expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
      'An event could not be delivered.',
      'An event could not be delivered.',
    ]);
    isBroken = false;
    await write('heard');
    expect(await ann.receive()).to.deep.include({ request_id: 7, data: { id: 3, text: 'heard' } });
  });
});

describe('A subscription of a row whose right is revoked', () => {
  const database = useDatabase('revocation_rows', [Seat, Note]);
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    asked.splice(0);
    isBroken = false;
    await database.orm.em.execute(
      `insert into seat (room, name) values (1, 'ann'), (2, 'ann'); insert into note (room, text) values (1, 'old'), (2, 'old')`,
    );
    const routes = [path('/row/', RowConsumer)];
    app = createApp({ orm: database.orm, permissions: [HasSeat], routes });
    ann = await connect(app, '/row/?name=ann');
    for (const [pk, requestId] of [
      [1, 7],
      [2, 8],
    ])
      await ann.request('subscribe_instance', { pk, request_id: requestId as number });
  });
  afterEach(() => app.close());

  it('has ended where a permission refuses the object', async () => {
    await database.orm.em.fork().transactional(async (em) => {
      (await em.findOneOrFail(Note, 1)).text = 'secret';
      (await em.findOneOrFail(Note, 2)).text = 'new';
      em.remove(await em.findOneOrFail(Seat, { room: 1 }));
    });
    expect(await ann.receive()).to.deep.equal(revoked(7));
    expect(await ann.receive()).to.deep.include({ request_id: 8, data: { id: 2, text: 'new' } });
    await ann.expectSilence();
    expect(JSON.stringify(ann.frames)).not.to.contain('secret');
  });

  it('is told of the delete of its row where that goes with the right', async () => {
    await database.orm.em.fork().transactional(async (em) => {
      em.remove(await em.findOneOrFail(Note, 1));
      em.remove(await em.findOneOrFail(Seat, { room: 1 }));
    });
    expect(await ann.receive()).to.deep.include({ action: 'delete', request_id: 7, data: { pk: 1 } });
    await ann.expectSilence();
  });
});

describe('What revokes', () => {
  it('is refused for a method that is no observer', () => {
    class Misspelt extends ApiConsumer {
      *groups() {
        yield 'a';
      }
    }
    // @ts-expect-error onNothing is no member
    RevokedBy('onNothing', kicked)(Misspelt.prototype, 'groups', {
      value: Misspelt.prototype.groups,
    } as TypedPropertyDescriptor<(kick: Kick) => Iterable<string>>);
    expect(() => observersOf(Misspelt, 'Misspelt')).to.throw(
      'Misspelt.groups: yields groups for "onNothing", which is not an observer. Put @ModelObserver on onNothing, or name one of: none yet.',
    );
  });
});
