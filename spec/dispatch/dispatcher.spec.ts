import { EventEmitter, once } from 'node:events';
import { EntityManager, LockMode } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  Conflict,
  Consumer,
  createApp,
  Disconnected,
  ModelConsumer,
  ModelSerializer,
  mix,
  type Permission,
  path,
  Retrieve,
  reply,
} from 'signalbox';
import { connect, type MemoryLogger, type TestChannel, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

/** Where a running action stands, and what lets it go on. Made anew for each spec. */
class Gate {
  readonly reached = Promise.withResolvers<ActionContext>();
  readonly opened = Promise.withResolvers<void>();
  readonly left = Promise.withResolvers<unknown>();

  async pass(context: ActionContext): Promise<void> {
    this.reached.resolve(context);
    await this.opened.promise;
  }
}

let gate: Gate;

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], computed: ['broken'] }) {
  broken(room: Room): string {
    if (room.name === 'broken') throw new Error('The serializer failed.');
    return 'no';
  }
}

let blocked: PromiseWithResolvers<void>;
let asked: string[] = [];

class NotesItself implements Permission {
  hasPermission({ requestId }: ActionContext) {
    asked.push(String(requestId));
    return true;
  }
}

class Count {
  @IsInt() count!: number;
}

@Consumer()
class WorkConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action() ping() {
    return 'pong';
  }

  @Action({ status: 202 }) returns() {
    return { id: this.#write().name };
  }

  @Action() async returnsAsync() {
    return 1;
  }

  @Action() returnsNothing() {}

  @Action() replies() {
    return reply({ queued: true }, { status: 207 });
  }

  @Action() repliesWith({ kwargs }: ActionContext) {
    this.#write();
    return reply(null, { status: kwargs['status'] === 'NaN' ? Number.NaN : (kwargs['status'] as number) });
  }

  @Action() throws() {
    this.#write();
    throw new Conflict('Taken.');
  }

  @Action() async rejects() {
    throw new Conflict('Taken.');
  }

  @Action() async rejectsWithAbort() {
    throw new Disconnected('of another connection');
  }

  @Action({ permissions: [NotesItself] }) returnsPermitted() {
    return this.#write().name;
  }

  @Action() async failsLate(context: ActionContext) {
    await gate.pass(context);
    throw new Error('Too late.');
  }

  @Action({ atomic: true }) async *countsAll(context: ActionContext) {
    for (let each = 0; each < 2_000; each += 1) yield 'x'.repeat(1_024);
    gate.reached.resolve(context);
  }

  /** As timers, files and sockets of Node end by a signal: with an error of their own. */
  @Action() async heeds(context: ActionContext) {
    gate.reached.resolve(context);
    await once(new EventEmitter(), 'never', { signal: context.signal });
  }

  @Action() async locks(context: ActionContext) {
    await this.em.transactional(async (em) => {
      await em.findOneOrFail(Room, { name: 'locked' }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      await gate.pass(context);
    });
  }

  @Action({ atomic: true }) async waitsForLock() {
    this.#write('never');
    await this.em.flush();
    const room = this.em.findOneOrFail(Room, { name: 'locked' }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    blocked.resolve();
    (await room).name = 'changed';
  }

  @Action() throwsNothing() {
    throw undefined;
  }

  @Action({ timeLimit: 500, atomic: true })
  async neverSettles(context: ActionContext) {
    this.#write();
    await this.em.flush();
    await gate.pass(context);
    try {
      this.#write('late');
      await this.em.flush();
      gate.left.resolve(undefined);
    } catch (error) {
      gate.left.resolve(error);
      throw error;
    }
  }

  @Action({ atomic: true })
  async waits(context: ActionContext) {
    this.#write();
    await this.em.flush();
    await gate.pass(context);
  }

  @Action({ detached: true })
  async waitsDetached(context: ActionContext) {
    await gate.pass(context);
  }

  @Action()
  async *counts({ count }: Count) {
    for (let number = 1; number <= count; number++) yield { number };
    return { count };
  }

  @Action()
  *countsInTransaction({ count }: Count) {
    for (let number = 1; number <= count; number++) {
      yield this.#write(`room ${number}`);
    }
    return count;
  }

  @Action()
  async *failsAfterTwo() {
    yield 1;
    yield 2;
    throw new Conflict('Enough.');
  }

  @Action()
  *failsAfterTwoInTransaction() {
    yield this.#write('one').name;
    yield this.#write('two').name;
    throw new Conflict('Enough.');
  }

  @Action()
  async *countsUntilStopped(context: ActionContext) {
    try {
      yield 1;
      await gate.pass(context);
      yield 2;
    } finally {
      gate.left.resolve('stopped');
    }
  }

  @Action({ atomic: false })
  *failsToStop(context: ActionContext) {
    try {
      gate.reached.resolve(context);
      for (;;) yield new Promise((resolve) => setImmediate(resolve));
    } finally {
      gate.left.resolve('stopped');
      // biome-ignore lint/correctness/noUnsafeFinally: what a careless clean-up does
      throw new Error('The clean-up failed.');
    }
  }

  @Action()
  async *yieldsCircle() {
    try {
      yield 1;
      yield circle();
    } finally {
      await new Promise((resolve) => setImmediate(resolve));
      asked.push('stopped');
    }
  }

  @Action({ atomic: true })
  *yieldsCircleInTransaction() {
    try {
      this.#write();
      yield circle();
    } finally {
      asked.push('stopped');
    }
  }

  @Action()
  async *yieldsUnflushed() {
    try {
      this.#write();
      yield 1;
    } finally {
      asked.push('stopped');
    }
  }

  @Action()
  *yieldsRejection() {
    try {
      yield Promise.reject(new Conflict('Taken.'));
    } finally {
      asked.push('stopped');
      // biome-ignore lint/correctness/noUnsafeFinally: what a careless clean-up does
      throw new Error('The clean-up failed.');
    }
  }

  @Action()
  async returnsGeneratorLate(context: ActionContext) {
    await gate.pass(context);
    return this.#noteBegin();
  }

  async *#noteBegin() {
    asked.push('begun');
    yield 1;
  }

  @Action() circular() {
    this.#write();
    return circle();
  }

  @Action() notToBeShown() {
    this.#write();
    return {
      toJSON() {
        throw new Error('secret of the result');
      },
    };
  }

  @Action() brokenSerializer() {
    return this.#write('broken');
  }

  @Action() breaksUnique() {
    this.#write();
    this.#write();
  }

  #write(name = 'red'): Room {
    return this.em.create(Room, { name });
  }
}

function circle(): object {
  const circle: { self?: object } = {};
  circle.self = circle;
  return circle;
}

describe('The dispatcher', () => {
  const database = useDatabase('dispatcher');
  let app: App;
  let clock: TestClock;
  let logger: MemoryLogger;
  let client: TestConnection;

  beforeEach(async () => {
    gate = new Gate();
    blocked = Promise.withResolvers();
    asked = [];
    const providers = testProviders();
    ({ clock, logger } = providers);
    app = createApp({ orm: database.orm, container: providers.container, routes: [path('/work/', WorkConsumer)] });
    client = await connect(app, '/work/');
  });
  afterEach(async () => {
    gate.opened.resolve();
    await app.close();
  });

  const names = async (): Promise<string[]> => {
    const rooms = await database.orm.em.fork().find(Room, {}, { orderBy: { id: 'asc' } });
    return rooms.map(({ name }) => name);
  };

  /** All frames of one request, once everything that could still come has come. */
  async function framesOf(channel: TestChannel, id: string): Promise<object[]> {
    await channel.reply(id);
    await channel.request('ping');
    await new Promise((resolve) => setImmediate(resolve));
    return channel.frames.filter(({ request_id }) => request_id === id);
  }

  const final = (action: string, status: number, data: unknown, errors: unknown[] = [], code?: string) => ({
    errors,
    data,
    action,
    response_status: status,
    request_id: 'r',
    ...(code !== undefined && { code }),
  });
  const part = (action: string, data: unknown) => final(action, 206, data);

  for (const status of ['NaN', '200,"x":1', 206, 199, 600, 200.5, null])
    it(`answers 500 and stores nothing where an action gives its reply the status ${status}`, async () => {
      const frame = await client.request('replies_with', { status });
      expect(frame).to.include({ data: null, response_status: 500, code: 'server_error' });
      expect(await names()).to.deep.equal([]);
    });

  describe('sends one final reply, and nothing after it,', () => {
    for (const { when, action, kwargs = {}, frames, rooms = [] } of [
      { when: 'an action returns', action: 'returns', frames: [final('returns', 202, { id: 'red' })], rooms: ['red'] },
      { when: 'an async action returns', action: 'returns_async', frames: [final('returns_async', 200, 1)] },
      { when: 'it returns nothing', action: 'returns_nothing', frames: [final('returns_nothing', 200, null)] },
      { when: 'it names its status', action: 'replies', frames: [final('replies', 207, { queued: true })] },
      { when: 'it throws', action: 'throws', frames: [final('throws', 409, null, ['Taken.'], 'conflict')] },
      { when: 'it rejects', action: 'rejects', frames: [final('rejects', 409, null, ['Taken.'], 'conflict')] },
      {
        when: 'a generator ends',
        action: 'counts',
        kwargs: { count: 2 },
        frames: [part('counts', { number: 1 }), part('counts', { number: 2 }), final('counts', 200, { count: 2 })],
      },
      {
        when: 'a generator has no parts',
        action: 'counts',
        kwargs: { count: 0 },
        frames: [final('counts', 200, { count: 0 })],
      },
      {
        when: 'a generator throws after some parts',
        action: 'fails_after_two',
        frames: [
          part('fails_after_two', 1),
          part('fails_after_two', 2),
          final('fails_after_two', 409, null, ['Enough.'], 'conflict'),
        ],
      },
      {
        when: 'an atomic generator throws: its parts never became true',
        action: 'fails_after_two_in_transaction',
        frames: [final('fails_after_two_in_transaction', 409, null, ['Enough.'], 'conflict')],
      },
      {
        when: 'a constraint fails at the flush',
        action: 'breaks_unique',
        frames: [
          final('breaks_unique', 409, null, [{ name: ['An object with this name already exists.'] }], 'conflict'),
        ],
      },
      {
        when: 'its name is unknown',
        action: 'constructor',
        frames: [final('constructor', 405, null, ['Method "constructor" not allowed.'], 'action_not_found')],
      },
      {
        when: 'its kwargs are refused',
        action: 'counts',
        kwargs: { count: 'x' },
        frames: [final('counts', 400, null, [{ count: ['count must be an integer number.'] }], 'validation_failed')],
      },
    ] as const) {
      it(`when ${when}`, async () => {
        client.send({ action, request_id: 'r', ...kwargs });
        expect(await framesOf(client, 'r')).to.deep.equal(frames);
        expect(await names()).to.deep.equal(rooms);
      });
    }

    for (const action of ['circular', 'not_to_be_shown', 'broken_serializer', 'throws_nothing', 'rejects_with_abort']) {
      it(`when an unknown error comes of ${action}, and rolls back`, async () => {
        client.send({ action, request_id: 'r' });
        const [frame, ...more] = await framesOf(client, 'r');
        expect(frame).to.deep.include({ data: null, response_status: 500, code: 'server_error' });
        expect(JSON.stringify(frame)).not.to.include('secret');
        expect(more).to.deep.equal([]);
        expect(await names()).to.deep.equal([]);
      });
    }

    it('when an atomic generator ends: its parts are sent after the commit', async () => {
      client.send({ action: 'counts_in_transaction', request_id: 'r', count: 2 });
      const seen: unknown[] = [];
      for (let index = 0; index < 3; index++) {
        const { response_status, data } = await client.receive();
        seen.push([response_status, data, await names()]);
      }
      expect(seen).to.deep.equal([
        [206, { id: null, name: 'room 1', broken: 'no' }, ['room 1', 'room 2']],
        [206, { id: null, name: 'room 2', broken: 'no' }, ['room 1', 'room 2']],
        [200, 2, ['room 1', 'room 2']],
      ]);
      await client.request('ping');
      await client.expectSilence();
    });

    it('when an action never settles: 504 at its time limit, rolled back', async () => {
      client.send({ action: 'never_settles', request_id: 'r' });
      const { signal } = await gate.reached.promise;
      clock.advance(499);
      expect(signal.aborted).to.equal(false);
      clock.advance(1);
      expect(signal.reason).to.include({ code: 'time_limit_exceeded' });
      expect(await framesOf(client, 'r')).to.deep.equal([
        final('never_settles', 504, null, ['The action exceeded its time limit.'], 'time_limit_exceeded'),
      ]);
      expect(await names()).to.deep.equal([]);
    });

    it('when it settles after its time limit: what it still writes is not stored', async () => {
      client.send({ action: 'never_settles', request_id: 'r' });
      await gate.reached.promise;
      clock.advance(500);
      await client.reply('r');
      gate.opened.resolve();
      await gate.left.promise;
      expect(await client.request('returns')).to.include({ response_status: 202 });
      expect(await names()).to.deep.equal(['red']);
      await client.expectSilence();
    });

    it('when it fails after its time limit, which is logged', async () => {
      client.send({ action: 'fails_late', request_id: 'r' });
      await gate.reached.promise;
      clock.advance(30_000);
      expect(await client.reply('r')).to.include({ response_status: 504 });
      gate.opened.resolve();
      await client.request('ping');
      await client.expectSilence();
      const [entry, ...more] = logger.entries;
      expect(entry).to.include({ level: 'warn', message: 'An action failed after it was abandoned.' });
      expect(entry?.fields).to.deep.include({ consumer: 'WorkConsumer', action: 'fails_late', requestId: 'r' });
      expect(more).to.deep.equal([]);
    });

    it('whose parts wait for a client that does not read, although they are more than its queue takes', async () => {
      await using slow = await connect(app, '/work/');
      slow.freeze();
      const reply = slow.request('counts_all');
      await gate.reached.promise;
      for (let each = 0; each < 20; each += 1) await database.orm.em.fork().execute('select 1');
      slow.thaw();
      expect(await reply).to.include({ response_status: 200 });
      expect(slow.frames.filter(({ response_status }) => response_status === 206)).to.have.length(2_000);
    });

    it('when it heeds its signal, which is nothing to log', async () => {
      client.send({ action: 'heeds', request_id: 'r' });
      await gate.reached.promise;
      clock.advance(30_000);
      expect(await client.reply('r')).to.include({ response_status: 504 });
      await client.request('ping');
      await client.expectSilence();
      expect(logger.entries).to.deep.equal([]);
    });

    it('when the database does not answer: 504 at its time limit, and the requests behind it go on', async () => {
      const em = database.orm.em.fork();
      em.create(Room, { name: 'locked' });
      await em.flush();
      const other = await connect(app, '/work/');
      other.send({ action: 'locks', request_id: 'lock' });
      await gate.reached.promise;
      client.send({ action: 'waits_for_lock', request_id: 'r' });
      await blocked.promise;
      clock.advance(30_000);
      expect(await framesOf(client, 'r')).to.deep.equal([
        final('waits_for_lock', 504, null, ['The action exceeded its time limit.'], 'time_limit_exceeded'),
      ]);
      gate.opened.resolve();
      expect(await other.reply('lock')).to.include({ response_status: 504 });
      expect(await names()).to.deep.equal(['locked']);
      expect(logger.entries).to.deep.equal([]);
    });

    it('when it is cancelled while it runs: 499, rolled back', async () => {
      client.send({ action: 'waits', request_id: 'r' });
      const { signal } = await gate.reached.promise;
      client.send({ action: 'cancel', request_id: 'c', target: 'r' });
      expect(await client.receive()).to.deep.equal({ ...final('cancel', 200, null), request_id: 'c' });
      expect(await framesOf(client, 'r')).to.deep.equal([
        final('waits', 499, null, ['The request was cancelled.'], 'cancelled'),
      ]);
      expect(signal.aborted).to.equal(true);
      expect(await names()).to.deep.equal([]);
    });

    it('when it is cancelled while it waits in line: 499 at once, and it never runs', async () => {
      client.send({ action: 'waits', request_id: 'first' });
      client.send({ action: 'returns_permitted', request_id: 'r' });
      await gate.reached.promise;
      client.send({ action: 'cancel', request_id: 'c', target: 'r' });
      expect(await client.reply('c')).to.include({ response_status: 200 });
      expect(await client.reply('r')).to.deep.equal(
        final('returns_permitted', 499, null, ['The request was cancelled.'], 'cancelled'),
      );
      gate.opened.resolve();
      await client.reply('first');
      await client.request('ping');
      expect(client.frames.filter(({ request_id }) => request_id === 'r')).to.have.length(1);
      expect(asked).to.deep.equal([]);
      expect(await names()).to.deep.equal(['red']);
    });

    it('when it is cancelled while it is being committed: what the commit says', async () => {
      const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let isHeld = true;
      database.orm.em.getEventManager().registerSubscriber({
        async beforeTransactionCommit() {
          reached.resolve();
          if (isHeld) await opened.promise;
        },
      });
      client.send({ action: 'returns', request_id: 'r' });
      await reached.promise;
      expect(await client.request('cancel', { target: 'r' })).to.include({ response_status: 200 });
      isHeld = false;
      opened.resolve();
      expect(await framesOf(client, 'r')).to.deep.equal([final('returns', 202, { id: 'red' })]);
      expect(await names()).to.deep.equal(['red']);
    });

    it('when nothing of the id to cancel waits or runs: 404', async () => {
      await client.request('ping');
      for (const target of ['test-1', 'unknown', 7]) {
        expect(await client.request('cancel', { target })).to.deep.include({
          errors: ['No request of this id is waiting or running.'],
          response_status: 404,
        });
      }
      expect(await client.request('cancel')).to.deep.include({
        errors: ['Name the request_id to cancel as "target".'],
        response_status: 400,
      });
    });

    it('when a detached action is cancelled', async () => {
      client.send({ action: 'waits_detached', request_id: 'r' });
      await gate.reached.promise;
      expect(await client.request('cancel', { target: 'r' })).to.include({ response_status: 200 });
      expect(await framesOf(client, 'r')).to.deep.equal([
        final('waits_detached', 499, null, ['The request was cancelled.'], 'cancelled'),
      ]);
    });

    it('when a generator is cancelled: no part after it, and its clean-up runs', async () => {
      client.send({ action: 'counts_until_stopped', request_id: 'r' });
      await gate.reached.promise;
      client.send({ action: 'cancel', request_id: 'c', target: 'r' });
      const frames = framesOf(client, 'r');
      gate.opened.resolve();
      expect(await gate.left.promise).to.equal('stopped');
      expect(await frames).to.deep.equal([
        part('counts_until_stopped', 1),
        final('counts_until_stopped', 499, null, ['The request was cancelled.'], 'cancelled'),
      ]);
    });

    for (const [action, status] of [
      ['yields_circle', 500],
      ['yields_circle_in_transaction', 500],
      ['yields_unflushed', 500],
      ['yields_rejection', 409],
    ] as const) {
      it(`when a part cannot be sent, of ${action}: after the clean-up of its generator`, async () => {
        client.send({ action, request_id: 'r' });
        expect(await client.reply('r')).to.include({ data: null, response_status: status });
        expect(asked).to.deep.equal(['stopped']);
        expect(await names()).to.deep.equal([]);
      });
    }

    it('when it is cancelled before it returns its generator, which does not begin', async () => {
      client.send({ action: 'returns_generator_late', request_id: 'r' });
      await gate.reached.promise;
      expect(await client.request('cancel', { target: 'r' })).to.include({ response_status: 200 });
      gate.opened.resolve();
      expect(await client.reply('r')).to.include({ response_status: 499 });
      // It waits for abandoned work.
      await app.close();
      expect(asked).to.deep.equal([]);
    });

    it('when the clean-up of a cancelled generator throws', async () => {
      client.send({ action: 'fails_to_stop', request_id: 'r' });
      await gate.reached.promise;
      client.send({ action: 'cancel', request_id: 'c', target: 'r' });
      expect(await gate.left.promise).to.equal('stopped');
      const last = (await framesOf(client, 'r')).at(-1);
      expect(last).to.deep.equal(final('fails_to_stop', 499, null, ['The request was cancelled.'], 'cancelled'));
    });

    it('when the server closes: 503 for what runs and for what waits, rolled back', async () => {
      client.send({ action: 'waits', request_id: 'r' });
      client.send({ action: 'returns', request_id: 'waiting' });
      await gate.reached.promise;
      const closed = app.close();
      await client.closed;
      gate.opened.resolve();
      await closed;
      expect(
        client.frames.map(({ request_id, response_status, code }) => [request_id, response_status, code]),
      ).to.have.deep.members([
        ['r', 503, 'server_closing'],
        ['waiting', 503, 'server_closing'],
      ]);
      expect(await names()).to.deep.equal([]);
    });
  });

  it('sends nothing once the client is gone, and rolls back', async () => {
    client.send({ action: 'waits', request_id: 'r' });
    client.send({ action: 'returns', request_id: 'waiting' });
    const { signal } = await gate.reached.promise;
    client.close();
    await client.closed;
    expect(signal.aborted).to.equal(true);
    expect(signal.reason).to.include({ name: 'Disconnected' });
    gate.opened.resolve();
    await app.close();
    expect(client.frames).to.deep.equal([]);
    expect(await names()).to.deep.equal([]);
    expect(logger.at('error')).to.deep.equal([]);
  });

  describe('while no connection to the database is free,', () => {
    let free: PromiseWithResolvers<void>;
    let transactions: Promise<void>[];

    beforeEach(async () => {
      free = Promise.withResolvers();
      const begun: Promise<void>[] = [];
      transactions = Array.from({ length: 10 }, () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        begun.push(promise);
        return database.orm.em.fork().transactional(async (em) => {
          await em.count(Room);
          resolve();
          await free.promise;
        });
      });
      await Promise.all(begun);
    });
    afterEach(async () => {
      free.resolve();
      await Promise.all(transactions);
    });

    for (const { what, abort, status } of [
      { what: 'cancels', abort: () => client.send({ action: 'cancel', request_id: 'c', target: 'r' }), status: 499 },
      { what: 'ends at the time limit of', abort: () => clock.advance(30_000), status: 504 },
    ]) {
      it(`${what} a request at once, and never runs it`, async () => {
        client.send({ action: 'returns_permitted', request_id: 'r' });
        await new Promise((resolve) => setImmediate(resolve));
        abort();
        expect(await client.reply('r')).to.include({ response_status: status });
        client.send({ action: 'returns_permitted', request_id: 'next' });
        free.resolve();
        expect(await client.reply('next')).to.include({ response_status: 200, data: 'red' });
        await Promise.all(transactions);
        expect(asked).to.deep.equal(['next']);
        expect(await names()).to.deep.equal(['red']);
        expect(client.frames.filter(({ request_id }) => request_id === 'r')).to.have.length(1);
        expect(logger.entries).to.deep.equal([]);
      });
    }
  });

  it('cancels its timer with the end of the action', async () => {
    await client.request('returns');
    await client.request('throws');
    // That of the heartbeat.
    expect(clock.waiting).to.equal(1);
  });
});
