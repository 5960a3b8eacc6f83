import { expect } from 'chai';
import { IsInt, IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  demultiplexer,
  GroupsForBoth,
  type Limits,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, MemoryCounters, type TestClock, type TestConnection } from 'signalbox/testing';
import { gate, useServer } from '../support/serving.js';

class Rang {
  @IsString() bell!: string;
}

class Bells {
  @IsInt() count!: number;
}

const rang = new Signal<Rang>();
let held: PromiseWithResolvers<void>;
let running: number;

class BusyConsumer extends ApiConsumer {
  @Action()
  async hold() {
    await held.promise;
  }

  @Action()
  async linger() {
    this.sendJson('begun');
    await held.promise;
  }

  @Action({ detached: true })
  async work() {
    running += 1;
    await held.promise;
  }

  @Action({ status: 201 })
  async listen(bells: Bells, context: ActionContext) {
    await this.subscribe(this.onRang, bells, context);
  }

  @Action({ status: 204 })
  async unlisten(context: ActionContext) {
    await this.unsubscribe(this.onRang, {}, context);
  }

  @Action()
  async join({ count }: Bells) {
    for (let each = 0; each < count; each += 1) await this.addGroup(`group-${each}`);
  }

  @Action()
  async end() {
    this.close(4001, 'Enough.');
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onRang')
  protected *groupsOfRang(subject: Rang | object) {
    const count = subject instanceof Bells ? subject.count : 0;
    for (let each = 0; each <= count; each += 1) yield `bell-${each}`;
  }
}

@Consumer({ binary: true })
class OneConsumer extends BusyConsumer {
  protected override async onBinary() {
    running += 1;
    this.sendJson({ running });
  }
}

@Consumer()
class OtherConsumer extends BusyConsumer {}

describe('The ceilings of a connection', () => {
  const serve = useServer();
  let app: App;
  let counters: MemoryCounters;
  let clock: TestClock;

  function open(limits: Partial<Limits> = {}): void {
    const streams = demultiplexer({ one: OtherConsumer, two: OtherConsumer });
    const rates = { messageBurst: 10_000 };
    ({ app, clock, counters } = serve([path('/', OneConsumer), path('/many/', streams)], {
      settings: { limits: { ...rates, ...limits } },
    }));
  }

  beforeEach(async () => {
    held = gate();
    running = 0;
    open();
  });
  afterEach(() => held.resolve());

  const refused = (action: string | null, id: number | null, text: string, wait?: number): object => ({
    errors: [text],
    data: wait === undefined ? null : { retry_after_ms: wait },
    action,
    response_status: 429,
    request_id: id,
    code: 'throttled',
  });
  const reached = (limit: string): number => counters.count('signalbox.limits_reached', { limit });

  function send(client: { send(payload: unknown): void }, action: string, count: number, kwargs: object = {}): void {
    for (let id = 1; id <= count; id += 1) client.send({ action, request_id: id, ...kwargs });
  }

  it('let 512 requests wait behind the one that runs, and refuse the next at once', async () => {
    await using client = await connect(app, '/');
    send(client, 'hold', 1);
    await app.idle();
    for (let id = 2; id <= 514; id += 1) client.send({ action: 'hold', request_id: id });
    expect(await client.receive()).to.deep.equal(refused('hold', 514, 'At most 512 requests may wait.', 1_000));
    expect(reached('waiting_requests')).to.equal(1);
    held.resolve();
    for (let id = 1; id <= 513; id += 1)
      expect(await client.receive()).to.include({ request_id: id, response_status: 200 });
    expect(await client.request('hold')).to.include({ response_status: 200 });
  });

  it('count requests that were cancelled while they waited, until it is their turn', async () => {
    open({ waitingRequests: 2 });
    await using client = await connect(app, '/');
    send(client, 'hold', 1);
    await app.idle();
    for (const id of [2, 3]) {
      client.send({ action: 'hold', request_id: id });
      client.send({ action: 'cancel', request_id: 10 + id, target: id });
      expect(await client.reply(id)).to.include({ response_status: 499 });
    }
    client.send({ action: 'hold', request_id: 4 });
    expect(await client.reply(4)).to.include({ response_status: 429 });
    held.resolve();
  });

  it('count the binary frames that wait, of which those above are not read yet', async () => {
    open({ waitingRequests: 2 });
    await using client = await connect(app, '/');
    send(client, 'hold', 1);
    await app.idle();
    for (let each = 0; each < 3; each += 1) client.sendBinary();
    await app.idle();
    held.resolve();
    await client.reply(1);
    for (const running of [1, 2]) expect(await client.receive()).to.deep.equal({ running });
    clock.advance(25);
    expect(await client.receive()).to.deep.equal({ running: 3 });
    expect(await client.request('hold')).to.include({ response_status: 200 });
  });

  it('count what is no request and waits for its answer', async () => {
    open({ waitingRequests: 2 });
    await using client = await connect(app, '/');
    send(client, 'hold', 1);
    await app.idle();
    for (const id of [2, 3, 4]) client.send({ action: 5, request_id: id });
    expect(await client.receive()).to.deep.equal(refused(null, 4, 'At most 2 requests may wait.', 1_000));
    held.resolve();
    for (const id of [1, 2, 3])
      expect(await client.receive()).to.include({ request_id: id, response_status: id === 1 ? 200 : 400 });
  });

  it('let 16 actions run on that were cancelled, and refuse what comes then', async () => {
    await using client = await connect(app, '/');
    for (let id = 1; id <= 16; id += 1) {
      client.send({ action: 'linger', request_id: id });
      expect(await client.receive()).to.equal('begun');
      client.send({ action: 'cancel', request_id: 100, target: id });
      expect(await client.reply(100)).to.include({ response_status: 200 });
      expect(await client.reply(id)).to.include({ response_status: 499 });
    }
    expect(await client.request('linger', { request_id: 17 })).to.deep.equal(
      refused('linger', 17, '16 cancelled actions still run.', 1_000),
    );
    held.resolve();
    await app.idle();
    expect(await client.request('hold')).to.include({ response_status: 200 });
    expect(reached('detached_actions')).to.equal(1);
  });

  it('count the requests of all streams together', async () => {
    open({ waitingRequests: 2 });
    await using client = await connect(app, '/many/');
    const [one, two] = [client.channel('one'), client.channel('two')];
    send(one, 'hold', 1);
    send(two, 'hold', 1);
    await app.idle();
    one.send({ action: 'hold', request_id: 2 });
    two.send({ action: 'hold', request_id: 2 });
    two.send({ action: 'hold', request_id: 3 });
    expect(await two.reply(3)).to.include({ response_status: 429 });
    held.resolve();
  });

  it('let 16 detached actions run, and refuse the next, which holds up no other', async () => {
    await using client = await connect(app, '/');
    await using other = await connect(app, '/');
    send(client, 'work', 17);
    expect(await client.receive()).to.deep.equal(refused('work', 17, 'At most 16 detached actions may run.', 1_000));
    expect(await client.request('join', { count: 1 })).to.include({ response_status: 200 });
    expect(running).to.equal(16);
    other.send({ action: 'work', request_id: 1 });
    expect(await other.request('join', { count: 1 })).to.include({ response_status: 200 });
    expect(running).to.equal(17);
    client.send({ action: 'cancel', request_id: 20, target: 3 });
    await client.reply(3);
    held.resolve();
    await client.reply(16);
    expect(await client.request('work')).to.include({ response_status: 200 });
    expect(reached('detached_actions')).to.equal(1);
  });

  it('allow 512 subscriptions, whichever end makes room for others', async () => {
    await using client = await connect(app, '/');
    await using other = await connect(app, '/');
    for (let id = 1; id <= 512; id += 1)
      expect(await client.request('listen', { request_id: id, count: 0 })).to.include({ response_status: 201 });
    expect(await client.request('listen', { request_id: 513, count: 0 })).to.deep.equal(
      refused('listen', 513, 'A connection may have at most 512 subscriptions.'),
    );
    expect(await client.request('listen', { request_id: 5, count: 0 })).to.include({ response_status: 201 });
    expect(await other.request('listen', { request_id: 1, count: 0 })).to.include({ response_status: 201 });
    expect(await client.request('unlisten', { request_id: 7 })).to.include({ response_status: 204 });
    expect(await client.request('listen', { request_id: 513, count: 0 })).to.include({ response_status: 201 });
    expect(reached('subscriptions')).to.equal(1);
  });

  it('count a request id once for each thing that it subscribes to', async () => {
    open({ subscriptions: 3 });
    await using client = await connect(app, '/');
    for (const count of [0, 1, 2, 1, 0])
      expect(await client.request('listen', { request_id: 1, count })).to.include({ response_status: 201 });
    expect(await client.request('listen', { request_id: 1, count: 3 })).to.deep.equal(
      refused('listen', 1, 'A connection may have at most 3 subscriptions.'),
    );
    expect(await client.request('unlisten', { request_id: 1 })).to.include({ response_status: 204 });
    for (const id of [1, 2, 3])
      expect(await client.request('listen', { request_id: id, count: 3 })).to.include({ response_status: 201 });
  });

  it('allow 2,097,152 bytes of subscriptions, whatever they consist of', async () => {
    await using client = await connect(app, '/');
    const told = [];
    for (let id = 1; id <= 10; id += 1) told.push(await client.request('listen', { request_id: id, count: 400 }));
    expect(told.slice(0, 5).map(({ response_status }) => response_status)).to.deep.equal([201, 201, 201, 201, 201]);
    expect(told.at(-1)).to.deep.equal(
      refused('listen', 10, 'The subscriptions of a connection may take at most 2097152 bytes.'),
    );
    expect(reached('subscription_bytes')).to.be.above(0);
    expect(await client.request('unlisten', { request_id: 1 })).to.include({ response_status: 204 });
    expect(await client.request('listen', { request_id: 10, count: 400 })).to.include({ response_status: 201 });
  });

  it('refuse a request that finds others which take 4,194,304 bytes together with it', async () => {
    open({ bytesPerSecond: 1_000_000 });
    await using client = await connect(app, '/');
    const large = { junk: Array.from({ length: 20 }, () => Array.from({ length: 1_000 }, () => ({}))) };
    send(client, 'hold', 1);
    await app.idle();
    for (let id = 2; id <= 5; id += 1) client.send({ action: 'hold', request_id: id, ...large });
    expect(await client.receive()).to.deep.equal(
      refused('hold', 4, 'Waiting and running requests may take at most 4194304 bytes.', 1_000),
    );
    expect(await client.receive()).to.include({ request_id: 5, response_status: 429 });
    expect(reached('request_bytes')).to.equal(2);
    held.resolve();
    for (const id of [1, 2, 3]) expect(await client.receive()).to.include({ request_id: id, response_status: 200 });
    expect(await client.request('hold', large)).to.include({ response_status: 200 });
  });

  it('let a request pass that finds no other one, whatever it takes', async () => {
    open({ requestBytes: 1 });
    await using client = await connect(app, '/');
    client.send({ action: 'hold', request_id: 1, text: 'x'.repeat(10_000) });
    await app.idle();
    for (const id of [2, 3]) client.send({ action: 5, request_id: id });
    expect(await client.receive()).to.deep.equal(
      refused(null, 2, 'Waiting and running requests may take at most 1 bytes.', 1_000),
    );
    expect(await client.receive()).to.include({ request_id: 3, response_status: 429 });
    client.sendBinary();
    await app.idle();
    expect(reached('request_bytes')).to.equal(3);
    held.resolve();
    expect(await client.reply(1)).to.include({ response_status: 200 });
    clock.advance(25);
    expect(await client.receive()).to.deep.equal({ running: 1 });
    for (const id of [4, 5])
      expect(await client.request('hold', { request_id: id })).to.include({ response_status: 200 });
  });

  it('count the bytes of actions that were cancelled and still run', async () => {
    open({ requestBytes: 4_000 });
    await using client = await connect(app, '/');
    client.send({ action: 'linger', request_id: 1, text: 'x'.repeat(2_000) });
    expect(await client.receive()).to.equal('begun');
    client.send({ action: 'cancel', request_id: 2, target: 1 });
    await client.reply(1);
    expect(await client.request('hold', { request_id: 3 })).to.include({ response_status: 429 });
    held.resolve();
    await app.idle();
    expect(await client.request('hold', { request_id: 3 })).to.include({ response_status: 200 });
  });

  it('count the subscriptions of all streams together, but for those of a stream that is closed', async () => {
    open({ subscriptions: 2 });
    await using client = await connect(app, '/many/');
    const [one, two] = [client.channel('one'), client.channel('two')];
    await one.request('listen', { count: 0 });
    await two.request('listen', { count: 0 });
    expect(await two.request('listen', { count: 0 })).to.include({ response_status: 429 });
    await one.request('end');
    await one.receive();
    expect(await two.request('listen', { count: 0 })).to.include({ response_status: 201 });
  });

  it('allow 1,024 groups', async () => {
    await using client = await connect(app, '/');
    expect(await client.request('join', { count: 1_024 })).to.include({ response_status: 200 });
    expect(await client.request('join', { count: 1_025 })).to.include({
      response_status: 429,
      data: null,
    });
    expect(await client.request('join', { count: 1_024 })).to.include({ response_status: 200 });
    expect(reached('groups')).to.equal(1);
  });

  it('leave the groups of others alone when a subscription finds no room for its own', async () => {
    open({ groups: 3 });
    await using client = await connect(app, '/');
    expect(await client.request('listen', { request_id: 1, count: 1 })).to.include({ response_status: 201 });
    expect(await client.request('listen', { request_id: 2, count: 4 })).to.deep.equal(
      refused('listen', 2, 'A connection may be in at most 3 groups.'),
    );
    expect(await client.request('listen', { request_id: 3, count: 2 })).to.include({ response_status: 201 });
    await ring();
    expect(await told(client)).to.deep.equal([1, 3]);
  });

  async function ring(): Promise<void> {
    await app.start();
    rang.send({ bell: 'one' });
    await app.idle();
  }

  async function told(client: TestConnection): Promise<unknown[]> {
    const frames = [await client.receive(), await client.receive()];
    await client.expectSilence();
    return frames.map(({ request_id }) => request_id).sort();
  }
});
