import { expect } from 'chai';
import { IsArray, IsInt, IsOptional, IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  GroupsForBoth,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryCounters } from 'signalbox/testing';
import { until } from '../support/deadline.js';
import { memoryKept } from '../support/memory.js';
import { gate, useServer } from '../support/serving.js';
import { type Frame, SocketClient } from '../support/sockets.js';

class Rang {
  @IsInt() bell!: number;
  @IsOptional() @IsString() text?: string;
}

class Bells {
  @IsInt() count!: number;
  @IsOptional() @IsArray() notes?: unknown[];
}

const rang = new Signal<Rang>();
let isFull = false;
let held: PromiseWithResolvers<void>;

@Consumer({ binary: true })
class BellConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async listen({ count, notes }: Bells, context: ActionContext) {
    await this.subscribe(this.onRang, { count, ...(notes && { notes }) }, context);
  }

  @Action()
  async join() {
    for (let each = 0; each < 1_024; each += 1) await this.addGroup(`${each}-`.padEnd(500, 'ж'));
  }

  @Action()
  async hold() {
    await held.promise;
  }

  @Action({ detached: true })
  async work() {
    this.sendJson({ isWorking: true });
    await held.promise;
  }

  @Action({ detached: true })
  async listenAtLength(bells: Bells, context: ActionContext) {
    await this.subscribe(this.onRang, bells, context);
    this.sendJson({ isWorking: true });
    await held.promise;
  }

  @Action()
  async fill({ count }: Bells) {
    for (let each = 0; each < count; each += 1) this.sendJson({ each });
    isFull = count > 1;
  }

  protected override async onBinary() {
    await held.promise;
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<Bells>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onRang')
  protected *groupsOfBells(subject: Rang | Bells) {
    const { count = 0 } = subject as Partial<Bells>;
    for (let each = 0; each <= count; each += 1) yield `bell-${each}`;
  }
}

const mebibyte = 1_048_576;
/** What a connection has that does nothing, what the spec's own end of it holds, and what comes and goes in between. */
const around = 0.75 * mebibyte;

/** 20,000 empty objects, which take most heap for their text. */
const worst = Array.from({ length: 20 }, () => Array.from({ length: 1_000 }, () => ({})));

describe('The heap of one connection', () => {
  const serve = useServer();
  let app: App;
  let client: SocketClient;
  let port: number;
  let before: number;
  let counters: MemoryCounters;
  const reached = (): number =>
    ['waiting_requests', 'request_bytes']
      .map((limit) => counters.count('signalbox.limits_reached', { limit }))
      .reduce((one, other) => one + other);

  beforeEach(async () => {
    held = gate();
    const far = 1_000_000_000;
    const limits = { messagesPerSecond: far, messageBurst: far, bytesPerSecond: far, throttledPerMinute: far };
    ({ app, counters } = serve([path('/', BellConsumer)], { settings: { limits } }));
    ({ port } = await app.listen({ port: 0, host: '127.0.0.1' }));
    client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 20; each += 1) await status({ action: 'listen', request_id: 1, count: 1, notes: [] });
    await status({ action: 'unsubscribe', target: 1 });
    before = await memoryKept();
  });
  afterEach(async () => {
    held.resolve();
    client.terminate();
    await client.closed;
  });

  const grown = async (): Promise<number> => (await memoryKept()) - before;

  async function status(frame: Frame): Promise<unknown> {
    client.send(frame);
    return (await client.receive())['response_status'];
  }

  /** @returns how many were granted */
  async function listen(count: number, kwargs: (id: number) => object): Promise<number> {
    let granted = 0;
    for (let id = 1; id <= count; id += 1)
      if ((await status({ action: 'listen', request_id: id, count: 1, ...kwargs(id) })) === 201) granted += 1;
    return granted;
  }

  it('does not grow with what a client adds to one subscription', async () => {
    const junk = 'x'.repeat(30_000);
    for (let each = 0; each < 300; each += 1)
      expect(await status({ action: 'listen', request_id: 1, count: 1, each, junk: `${each}${junk}` })).to.equal(201);
    expect(await grown()).to.be.below(around);
  });

  for (const { what, count, kwargs, granted } of [
    { what: 'hundreds of small ones', count: 600, kwargs: () => ({}), granted: 512 },
    {
      what: 'with ids of 64 characters',
      count: 600,
      kwargs: (id: number) => ({ request_id: `${id}-`.padEnd(64, 'ж') }),
      granted: 512,
    },
    {
      what: 'with long texts',
      count: 40,
      kwargs: (id: number) => ({ notes: [`${id}`.padEnd(30_000, 'ж')] }),
      granted: 16,
    },
    { what: 'with many objects', count: 5, kwargs: () => ({ notes: worst }), granted: 0 },
    { what: 'with some objects', count: 40, kwargs: () => ({ notes: worst[0] }), granted: 14 },
    { what: 'with many groups', count: 10, kwargs: () => ({ count: 1_000 }), granted: 3 },
    {
      what: 'of one id',
      count: 600,
      kwargs: (each: number) => ({ request_id: 1, count: 0, notes: [each] }),
      granted: 512,
    },
  ]) {
    it(`grows by at most 2 MiB with subscriptions: ${what}`, async () => {
      expect(await listen(count, kwargs)).to.equal(granted);
      expect(await grown()).to.be.below(2 * mebibyte + around);
    });
  }

  it('grows by at most 4 MiB with requests that wait or run', async () => {
    for (let id = 1; id <= 20; id += 1) client.send({ action: 'hold', request_id: id, worst });
    for (let id = 100; id < 700; id += 1) client.send({ action: 'hold', request_id: id });
    for (let id = 700; id < 800; id += 1) client.send({ action: 5, request_id: id, worst: worst[0] });
    client.send({ action: 'listen', request_id: 'late', junk: worst });
    for (let reply = await client.receive(); ; reply = await client.receive()) {
      expect(reply['response_status']).to.equal(429);
      if (reply['request_id'] === 'late') break;
    }
    const refusals = reached();
    for (let each = 0; each < 50; each += 1) client.sendBinary(new Uint8Array(60_000));
    await until(() => reached() > refusals, 'The pause');
    expect(await grown()).to.be.below(4 * mebibyte + around);
  });

  it('grows by at most 1.5 MiB with groups', async () => {
    expect(await status({ action: 'join', request_id: 1 })).to.equal(200);
    expect(await grown()).to.be.below(1.5 * mebibyte + around);
  });

  it('grows by at most 1 MiB with frames that are not read', async () => {
    await using frozen = await connect(app, '/');
    await frozen.request('fill', { count: 1 });
    before = await memoryKept();
    frozen.freeze();
    frozen.send({ action: 'fill', request_id: 1, count: 6_300 });
    await until(() => isFull, 'The last frame');
    expect(await grown()).to.be.below(mebibyte + around);
  });

  for (const { what, count, text, most } of [
    { what: '4 MiB with small events', count: 9_999, text: '', most: 4 * mebibyte },
    { what: '16 MiB with large ones', count: 1_040, text: 'ж'.repeat(8_000), most: 16 * mebibyte },
  ]) {
    it(`grows by at most ${what} that wait`, async () => {
      await using witness = await SocketClient.open(`ws://127.0.0.1:${port}/`);
      witness.send({ action: 'listen', request_id: 1, count: 0 });
      await witness.receive();
      client.send({ action: 'listen_at_length', request_id: 1, count: 0 });
      await client.receive();
      before = await memoryKept();
      for (let bell = 1; bell <= count; bell += 1) {
        rang.send({ bell, text: `${bell}${text}` });
        expect((await witness.receive())['data']).to.include({ bell });
      }
      expect(await grown()).to.be.within(mebibyte, most + around);
    });
  }

  it('does not grow with what ends the subscriptions of a request that runs', async () => {
    client.send({ action: 'work', request_id: 1 });
    await client.receive();
    for (let each = 0; each < 3_000; each += 1)
      expect(await status({ action: 'unsubscribe', request_id: 2, target: 1 })).to.equal(204);
    expect(await grown()).to.be.below(around / 4);
  });
});
