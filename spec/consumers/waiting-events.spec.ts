import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  type Delivery,
  demultiplexer,
  Groups,
  type Limits,
  Observer,
  OnMessage,
  type Permission,
  Permissions,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, MemoryCounters, type MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { within } from '../support/deadline.js';
import { useServer } from '../support/serving.js';

interface Rang {
  readonly bell: number;
}

const rang = new Signal<Rang>();
let asked: number[];
let gate: PromiseWithResolvers<void>;
/** The first question has been asked. */
let reached: PromiseWithResolvers<void>;

/** Takes its time for those who are asked for slowly. */
@injectable()
class IsAwake implements Permission {
  async canReceive({ scope, data }: Delivery) {
    if (!scope.query.has('slow')) return true;
    asked.push((data as Rang).bell);
    reached.resolve();
    await gate.promise;
    return true;
  }
}

@Permissions(IsAwake)
@Consumer()
@Groups('everybody')
class BellConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onRang, {}, context);
  }

  @Action({ detached: true, status: 201 })
  async listenAtLength(context: ActionContext) {
    await this.subscribe(this.onRang, {}, context);
    this.sendJson('subscribed');
    await gate.promise;
  }

  @Action()
  async hold() {
    await gate.promise;
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @OnMessage('shout')
  protected onShout() {
    this.sendJson('shouted');
  }
}

describe('What comes for a consumer', () => {
  afterEach(() => gate.resolve());
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;
  let counters: MemoryCounters;

  function open(limits: Partial<Limits>): void {
    const routes = [path('/', BellConsumer), path('/many/', demultiplexer({ a: BellConsumer, b: BellConsumer }))];
    ({ app, logger, counters } = serve(routes, { settings: { limits, closeTimeout: 50 } }));
  }

  beforeEach(() => {
    asked = [];
    gate = Promise.withResolvers();
    reached = Promise.withResolvers();
    open({ waitingEvents: 3 });
  });

  const ring = (count: number): void => {
    for (let bell = 0; bell < count; bell += 1) rang.send({ bell });
  };

  it('may wait up to the limit; one event more closes with 1013, and no other connection is disturbed', async () => {
    const slow = await connect(app, '/?slow');
    await slow.request('listen', { request_id: 1 });
    await using other = await connect(app, '/');
    await other.request('listen', { request_id: 1 });
    ring(4);
    for (const bell of [0, 1, 2, 3]) expect(await other.receive()).to.deep.include({ data: { bell } });
    expect(counters.count('signalbox.limits_reached', { limit: 'waiting_events' })).to.equal(0);
    ring(3);
    expect(await within(slow.closed, 'The end of the connection')).to.equal(1013);
    expect(counters.count('signalbox.limits_reached', { limit: 'waiting_events' })).to.equal(1);
    expect(logger.at('warn')[0]).to.deep.include({
      message: 'Too many events wait for a consumer.',
      fields: { consumer: 'BellConsumer', path: '/', limit: 3 },
    });
    for (const bell of [0, 1, 2]) expect(await other.receive()).to.deep.include({ data: { bell } });
  });

  it('is counted with the messages that wait for an action', async () => {
    const client = await connect(app, '/');
    client.send({ action: 'hold', request_id: 1 });
    for (let each = 0; each < 4; each += 1) await app.sendToGroup('everybody', { type: 'shout' });
    expect(await client.closed).to.equal(1013);
  });

  it('is counted while it waits for the reply that confirms its subscription', async () => {
    const client = await connect(app, '/');
    client.send({ action: 'listen_at_length', request_id: 1 });
    expect(await client.receive()).to.equal('subscribed');
    ring(4);
    expect(await client.closed).to.equal(1013);
  });

  it('is counted while those before it are asked for, which waited for that reply', async () => {
    const client = await connect(app, '/?slow');
    client.send({ action: 'listen_at_length', request_id: 1 });
    expect(await client.receive()).to.equal('subscribed');
    ring(3);
    await app.idle();
    const { resolve } = gate;
    gate = Promise.withResolvers();
    resolve();
    await within(reached.promise, 'The first question');
    ring(2);
    expect(await within(client.closed, 'The end of the connection')).to.equal(1013);
  });

  it('closes the socket where its consumer is one of several, for a stream alone would not come back', async () => {
    const client = await connect(app, '/many/?slow');
    await client.channel('a').request('listen', { request_id: 1 });
    ring(5);
    expect(await client.closed).to.equal(1013);
  });

  describe('where its texts may take 50 bytes', () => {
    beforeEach(() => open({ waitingEventBytes: 50 }));

    it('may wait up to them, each change once; a change more closes with 1013', async () => {
      const slow = await connect(app, '/?slow');
      for (const id of [1, 2, 3]) await slow.request('listen', { request_id: id });
      ring(2);
      await within(reached.promise, 'The first question');
      ring(1);
      expect(counters.count('signalbox.limits_reached', { limit: 'waiting_event_bytes' })).to.equal(0);
      ring(1);
      expect(await within(slow.closed, 'The end of the connection')).to.equal(1013);
      expect(counters.count('signalbox.limits_reached', { limit: 'waiting_event_bytes' })).to.equal(1);
      expect(logger.at('warn')[0]).to.deep.include({
        message: 'Too many events wait for a consumer.',
        fields: { consumer: 'BellConsumer', path: '/', limit: 50 },
      });
    });

    it('is counted while it waits for the reply that confirms its subscription', async () => {
      const client = await connect(app, '/');
      client.send({ action: 'listen_at_length', request_id: 1 });
      expect(await client.receive()).to.equal('subscribed');
      ring(3);
      expect(await client.closed).to.equal(1013);
    });

    it('is counted with what waits for the other streams of the connection', async () => {
      const client = await connect(app, '/many/?slow');
      for (const stream of ['a', 'b']) await client.channel(stream).request('listen', { request_id: 1 });
      ring(1);
      await within(reached.promise, 'The first question');
      ring(1);
      expect(counters.count('signalbox.limits_reached', { limit: 'waiting_event_bytes' })).to.equal(0);
      ring(1);
      expect(await within(client.closed, 'The end of the connection')).to.equal(1013);
    });

    it('is counted with the messages that wait for an action', async () => {
      const client = await connect(app, '/');
      client.send({ action: 'hold', request_id: 1 });
      for (const _ of [1, 2]) await app.sendToGroup('everybody', { type: 'shout' });
      expect(await client.closed).to.equal(1013);
    });

    it('is counted no more once it was told, and a large one may wait alone', async () => {
      await using client = await connect(app, '/');
      await client.request('listen', { request_id: 1 });
      await using slow = await connect(app, '/?slow');
      await slow.request('listen', { request_id: 1 });
      for (const _ of [1, 2, 3]) {
        ring(2);
        await within(reached.promise, 'The first question');
        gate.resolve();
        for (const bell of [0, 1]) expect(await slow.receive()).to.deep.include({ data: { bell } });
        [gate, reached] = [Promise.withResolvers(), Promise.withResolvers()];
      }
      rang.send({ bell: 1e100 });
      await within(reached.promise, 'The first question');
      rang.send({ bell: 123_456_789_012_345 });
      gate.resolve();
      for (const bell of [1e100, 123_456_789_012_345]) expect(await slow.receive()).to.deep.include({ data: { bell } });
    });
  });

  it('is dropped without a word once its client has left', async () => {
    const slow = await connect(app, '/?slow');
    await slow.request('listen', { request_id: 1 });
    await using other = await connect(app, '/');
    await other.request('listen', { request_id: 1 });
    ring(3);
    for (const bell of [0, 1, 2]) expect(await other.receive()).to.deep.include({ data: { bell } });
    await within(reached.promise, 'The first question');
    slow.close();
    gate.resolve();
    await slow.ended;
    await app.idle();
    expect(asked).to.deep.equal([0]);
    expect(logger.entries).to.deep.equal([]);
  });

  it('is counted no more once it was told', async () => {
    await using slow = await connect(app, '/?slow');
    await slow.request('listen', { request_id: 1 });
    for (const _ of [1, 2, 3]) {
      ring(3);
      gate.resolve();
      for (const bell of [0, 1, 2]) expect(await slow.receive()).to.deep.include({ data: { bell } });
      gate = Promise.withResolvers();
      for (let each = 0; each < 3; each += 1) await app.sendToGroup('everybody', { type: 'shout' });
      for (const _each of [1, 2, 3]) expect(await slow.receive()).to.equal('shouted');
    }
  });
});
