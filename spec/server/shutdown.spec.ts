import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  type ApplicationHooks,
  Clock,
  Consumer,
  createApp,
  demultiplexer,
  InMemoryChannelLayer,
  Logger,
  path,
  type ReplyFrame,
} from 'signalbox';
import { connect, MemoryLogger, TestClock, type TestConnection } from 'signalbox/testing';
import { container } from 'tsyringe';
import type { DrainSettings } from '#signalbox/settings.js';
import { until, within } from '../support/deadline.js';
import { offlineOrm } from '../support/offline-orm.js';
import { SilentConsumer, useServer } from '../support/serving.js';
import { fullRefusalOf, SocketClient } from '../support/sockets.js';

let release: PromiseWithResolvers<void>;

@Consumer()
class Working extends ApiConsumer {
  @Action()
  async work() {
    await release.promise;
    return 'done';
  }

  @Action()
  async hello() {
    return 'hello';
  }
}

/** In how many milliseconds a client is told to come back. */
function retryAfter(frame: ReplyFrame | undefined): number {
  const data = frame?.data as Readonly<Record<string, number>> | undefined;
  return data?.['retry_after_ms'] ?? Number.NaN;
}

const told = { action: 'drain', response_status: 503, request_id: null, code: 'server_closing' };

describe('An application that drains', () => {
  afterEach(() => release.resolve());
  const serve = useServer();
  let clock: TestClock;

  beforeEach(() => {
    release = Promise.withResolvers();
  });

  function open(drain: Partial<DrainSettings> = {}): App {
    const routes = [path('/', Working), path('/many/', demultiplexer({ one: Working }))];
    const limits = { connections: 100_000, handshakesPerSecond: 100_000 };
    const served = serve(routes, { settings: { drain, limits } });
    clock = served.clock;
    return served.app;
  }

  /** Moves the clock by so many milliseconds, and lets whoever waited for it go on. */
  async function advance(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 20) {
      clock.advance(20);
      await nextTurn();
    }
  }

  it('serves the clients that are there for 4 s, and is not ready for others at once', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    const drained = app.drain();
    expect((await app.readiness()).isEnding).to.equal(true);
    await expectRefusal(() => connect(app, '/'));
    await advance(3_900);
    expect(await ann.request('hello')).to.include({ response_status: 200 });
    expect(ann.frames).to.have.length(1);
    await advance(200);
    await within(drained, 'The drain');
    expect(ann.frames[1]).to.include(told);
    expect(await ann.closed).to.equal(1012);
  });

  it('tells each client once why and when to come back, then closes with 1012', async () => {
    const app = open({ delay: 0 });
    const clients = [await connect(app, '/'), await connect(app, '/many/')];
    await within(app.drain(), 'The drain');
    const [ann, bob] = clients.map(({ frames }) => frames);
    expect(ann).to.have.length(1);
    expect(ann?.[0]).to.include(told);
    expect(ann?.[0]?.errors).to.deep.equal(['The server is restarting.']);
    expect(retryAfter(ann?.[0])).to.be.within(0, 3_000);
    expect(bob).to.have.length(1);
    expect(bob?.[0]).to.have.property('stream', null);
    expect(Reflect.get(bob?.[0] ?? {}, 'payload')).to.include(told);
    expect(await Promise.all(clients.map(({ closed }) => closed))).to.deep.equal([1012, 1012]);
  });

  it('answers what is under way, and refuses what still comes with 503', async () => {
    const app = open({ delay: 0 });
    await using ann = await connect(app, '/');
    const work = ann.request('work');
    await nextTurn();
    const drained = app.drain();
    await nextTurn();
    const late = await ann.request('hello');
    expect(late).to.include({ response_status: 503, code: 'server_closing' });
    release.resolve();
    expect(await work).to.include({ response_status: 200, data: 'done' });
    expect(await ann.closed).to.equal(1012);
    await within(drained, 'The drain');
  });

  it('answers 503 to what was on its way when the client was told', async () => {
    const app = open({ delay: 0 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    await using ann = await SocketClient.open(`ws://127.0.0.1:${port}/`, { autoPong: false });
    const pinged = ann.pinged();
    const drained = app.drain();
    expect(await ann.receive()).to.include(told);
    const mark = await pinged;
    ann.send({ action: 'hello', request_id: 7 });
    ann.pong(mark);
    expect(await ann.receive()).to.include({ response_status: 503, code: 'server_closing', request_id: 7 });
    expect(await ann.closed).to.equal(1012);
    await within(drained, 'The drain');
  });

  it('waits 1 s at most for a client that does not show that it was told', async () => {
    const app = open({ delay: 0 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    await using ann = await SocketClient.open(`ws://127.0.0.1:${port}/`, { autoPong: false });
    const pinged = ann.pinged();
    const drained = app.drain();
    await pinged;
    await advance(900);
    ann.send({ action: 'hello', request_id: 7 });
    expect(await ann.receive()).to.include(told);
    expect(await ann.receive()).to.include({ response_status: 503 });
    await advance(200);
    expect(await ann.closed).to.equal(1012);
    await within(drained, 'The drain');
  });

  it('answers 503 to what has not ended after 10 s', async () => {
    const app = open({ delay: 0 });
    await using ann = await connect(app, '/');
    const work = ann.request('work');
    await nextTurn();
    const drained = app.drain();
    await advance(9_900);
    expect(ann.frames).to.have.length(1);
    await advance(200);
    expect(await work).to.include({ response_status: 503, code: 'server_closing' });
    expect(await ann.closed).to.equal(1012);
    release.resolve();
    await within(drained, 'The drain');
  });

  it('tells 400 of them in a second, and no more', async () => {
    const app = open({ delay: 0 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 1_000; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    const counts: number[] = [];
    for (let second = 0; second < 3; second += 1) {
      await advance(1_000);
      counts.push(clients.filter(({ frames }) => frames.length > 0).length);
    }
    await within(drained, 'The drain');
    expect(counts[0]).to.be.within(400, 440);
    expect(counts[1]).to.be.within(800, 840);
    expect(counts[2]).to.equal(1_000);
    const times = clients.map(({ frames }) => retryAfter(frames[0]));
    expect(new Set(times).size).to.be.above(100);
  });

  it('spreads reconnections as evenly as it spreads the closes', async () => {
    const app = open({ delay: 0 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 2_000; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    const untold = new Set(clients);
    const returns: number[] = [];
    for (let now = 0; now < 5_000; now += 20) {
      clock.advance(20);
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
      for (const client of untold) {
        const [frame] = client.frames;
        if (!frame) continue;
        untold.delete(client);
        returns.push(now + retryAfter(frame));
      }
    }
    await within(drained, 'The drain');
    const seconds = [0, 1, 2, 3, 4, 5, 6, 7].map(
      (second) => returns.filter((at) => Math.floor(at / 1_000) === second).length,
    );
    expect(returns).to.have.length(2_000);
    expect(Math.max(...seconds)).to.be.within(390, 415);
  });

  it('tells clients that came together at different times', async () => {
    const app = open({ delay: 0 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 400; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    await advance(500);
    const early = clients.slice(0, 200).filter(({ frames }) => frames.length > 0);
    expect(early.length).to.be.within(60, 140);
    await advance(600);
    await within(drained, 'The drain');
  });

  it('does not make up at once for the time that a busy process has lost', async () => {
    const app = open({ delay: 0 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 1_000; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    await advance(500);
    const before = clients.filter(({ frames }) => frames.length > 0).length;
    clock.advance(1_000);
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    const after = clients.filter(({ frames }) => frames.length > 0).length;
    expect(after - before).to.be.within(15, 50);
    await advance(1_500);
    await within(drained, 'The drain');
  });

  it('tells every client in the time that there is, also where the process has so much to do that its timers are late', async () => {
    const app = open({ delay: 0, timeLimit: 4_000 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 1_000; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    for (let late = 0; late < 3_000; late += 150) {
      clock.advance(150);
      await nextTurn();
    }
    await within(drained, 'The drain');
    const untold = clients.filter(({ frames }) => frames[0]?.action !== 'drain');
    expect(untold).to.have.length(0);
    const codes = await Promise.all(clients.map(({ closed }) => closed));
    expect(new Set(codes)).to.deep.equal(new Set([1012]));
  });

  it('spreads the returns over what the time for leaving does not suffice for', async () => {
    const app = open({ delay: 0, rate: 1, spread: 100 });
    const clients: TestConnection[] = [];
    for (let each = 0; each < 60; each += 1) clients.push(await connect(app, '/'));
    const drained = app.drain();
    await advance(200);
    await within(drained, 'The drain');
    const times = clients.map(({ frames }) => retryAfter(frames[0]));
    expect(Math.max(...times)).to.be.within(20_000, 60_000);
  });

  it('cuts what is left after 28 s', async () => {
    const app = open({ delay: 0, actionTimeLimit: 60_000, timeLimit: 5_000 });
    await using ann = await connect(app, '/');
    const work = ann.request('work');
    await nextTurn();
    const drained = app.drain();
    await advance(4_200);
    expect(await work).to.include({ response_status: 503 });
    await within(drained, 'The drain');
  });

  it('is cut short by close', async () => {
    const app = open();
    await using ann = await connect(app, '/');
    const drained = app.drain();
    await app.close();
    expect(await ann.closed).to.equal(1001);
    await within(drained, 'The drain');
  });

  it('sends what waits before it closes', async () => {
    const app = open({ delay: 0 });
    await using ann = await connect(app, '/');
    ann.freeze();
    ann.send({ action: 'hello', request_id: 1 });
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    const drained = app.drain();
    await advance(200);
    ann.thaw();
    await within(drained, 'The drain');
    expect(ann.frames.map(({ action }) => action)).to.deep.equal(['hello', 'drain']);
    expect(await ann.closed).to.equal(1012);
  });

  it('refuses new sockets with 503 and a time to come back', async () => {
    const app = open();
    const { port } = await app.listen({ host: '127.0.0.1' });
    await using ann = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const drained = app.drain();
    const { status, sentence, headers } = await fullRefusalOf(`ws://127.0.0.1:${port}/`);
    expect({ status, sentence }).to.deep.equal({ status: 503, sentence: 'The server is restarting.' });
    expect(Number(headers['retry-after'])).to.be.within(1, 3);
    await advance(4_100);
    expect(await ann.receive()).to.include(told);
    expect(await ann.closed).to.equal(1012);
    await within(drained, 'The drain');
  });

  async function expectRefusal(attempt: () => Promise<unknown>): Promise<void> {
    const refusal = await attempt().catch((error: unknown) => error);
    expect(refusal).to.include({ status: 503, code: 'server_closing' });
  }
});

let stopped: string[] = [];

class First implements ApplicationHooks {
  stop(): void {
    stopped.push('first');
  }
}

let asked = Promise.withResolvers<void>();

class NeverStopping implements ApplicationHooks {
  stop(): Promise<void> {
    asked.resolve();
    return new Promise(() => {});
  }
}

class NeverStarting implements ApplicationHooks {
  start(): Promise<void> {
    return new Promise(() => {});
  }
}

class NeverClosing extends InMemoryChannelLayer {
  override close(): Promise<void> {
    return new Promise(() => {});
  }
}

class FailingLayer extends InMemoryChannelLayer {
  override async close(): Promise<void> {
    throw new Error('The line is dead.');
  }
}

interface Given {
  readonly hooks?: (new () => ApplicationHooks)[];
  readonly channelLayer?: InMemoryChannelLayer;
}

async function appWith(options: Given, clock = new Clock()) {
  const logger = new MemoryLogger();
  const child = container.createChildContainer();
  child.registerInstance<Logger>(Logger, logger);
  child.registerInstance(Clock, clock);
  const app = createApp({
    orm: await offlineOrm(),
    container: child,
    routes: [path('/ws/', SilentConsumer)],
    settings: { closeTimeout: 20 },
    ...options,
  });
  return { app, messages: () => logger.entries.map(({ message }) => message) };
}

describe('An application that closes', () => {
  beforeEach(() => {
    stopped = [];
    asked = Promise.withResolvers();
  });

  it('gives a stop hook up that never settles, and stops the others', async () => {
    const { app, messages } = await appWith({ hooks: [First, NeverStopping] });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['A stop hook did not end in time.']);
  });

  it('waits by the clock that is injected', async () => {
    const clock = new TestClock();
    const { app } = await appWith({ hooks: [First, NeverStopping] }, clock);
    await app.start();
    const closed = app.close();
    await within(asked.promise, 'The stop hook');
    await until(() => clock.waiting === 1, 'The time limit of the stop hook');
    clock.advance(19);
    await new Promise(setImmediate);
    expect(stopped).to.deep.equal([]);
    clock.advance(1);
    await within(closed, 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
  });

  it('does not wait for a start hook that never settles', async () => {
    const { app } = await appWith({ hooks: [First, NeverStarting] });
    void app.start().catch(() => {});
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
  });

  it('gives a channel layer up that never closes, and stops its hooks', async () => {
    const { app, messages } = await appWith({ hooks: [First], channelLayer: new NeverClosing() });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['The channel layer did not close in time.']);
  });

  it('logs that its channel layer cannot be closed, and stops its hooks', async () => {
    const { app, messages } = await appWith({ hooks: [First], channelLayer: new FailingLayer() });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['The channel layer could not be closed.']);
  });
});
