import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { expect } from 'chai';
import { Action, ApiConsumer, type App, Clock, Consumer, Groups, Logger, OnMessage, path } from 'signalbox';
import { connect, type MemoryCounters, MemoryTransport } from 'signalbox/testing';
import type { GivenSettings } from '#signalbox/settings.js';
import { until } from '../support/deadline.js';
import { memoryHeld } from '../support/memory.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';
import { SocketClient, textFrame, upgradeRequest } from '../support/sockets.js';

const kilobyte = 'x'.repeat(1024);
let produced = 0;
let answered = 0;

@Consumer()
@Groups('everybody')
class Speaking extends ApiConsumer {
  @OnMessage('shout')
  onShout({ text }: { readonly type: string; readonly text?: string }) {
    this.sendJson({ text });
  }

  @Action()
  async *count() {
    for (produced = 0; produced < 500; produced += 1) yield kilobyte;
    return 'the end';
  }

  @Action()
  async big() {
    answered += 1;
    return kilobyte.repeat(10);
  }

  @Action()
  async hello() {
    return 'hello';
  }
}

/** Clients that connect and never read a byte of what they are sent. */
class FrozenClient implements Disposable {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
  }

  static async open(port: number): Promise<FrozenClient> {
    const socket = connectSocket({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    socket.write(upgradeRequest('/'));
    await once(socket, 'readable');
    socket.read();
    socket.removeAllListeners('readable');
    socket.pause();
    return new FrozenClient(socket);
  }

  ask(action: string, id: number): void {
    this.#socket.write(textFrame(JSON.stringify({ action, request_id: id })));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

describe('A client that does not read', () => {
  const serve = useServer();
  let counters: MemoryCounters;
  let app: App;

  beforeEach(() => {
    produced = 0;
    answered = 0;
  });

  function open(settings: GivenSettings = {}, logger?: Logger): App {
    const providers = testProviders();
    const { container } = providers;
    container.registerInstance(Clock, new Clock());
    if (logger) container.registerInstance(Logger, logger);
    const limits = { connections: 100_000, handshakesPerSecond: 100_000, connectionsPerAddress: 1_000 };
    ({ app } = serve([path('/', Speaking)], { container, settings: { limits, ...settings } }));
    ({ counters } = providers);
    return app;
  }

  const shout = (text: string): Promise<void> => app.sendToGroup('everybody', { type: 'shout', text });

  it('makes its generator wait above 64 KiB, and gets all of it once it reads', async () => {
    await using ann = await connect(open(), '/');
    ann.freeze();
    const reply = ann.request('count');
    await until(() => produced > 50, 'The first parts');
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(produced).to.be.within(56, 62);
    ann.thaw();
    expect(await reply).to.include({ response_status: 200, data: 'the end' });
    expect(ann.frames.filter(({ response_status }) => response_status === 206)).to.have.length(500);
  });

  it('makes its own requests wait, and has each answered once it reads', async () => {
    await using ann = await connect(open(), '/');
    ann.freeze();
    const replies = Array.from({ length: 30 }, (_, id) => ann.request('big', { request_id: id }));
    await until(() => answered > 5, 'The first replies');
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(answered).to.be.within(6, 8);
    ann.thaw();
    expect((await Promise.all(replies)).map(({ response_status }) => response_status)).to.deep.equal(
      replies.map(() => 200),
    );
  });

  it('is cut with what it holds, over real sockets, while the others get everything', async () => {
    const settings = { outbound: { timeLimit: 200 }, closeTimeout: 50 };
    const { port } = await open(settings).listen({ host: '127.0.0.1' });
    const healthy = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const frozen = await Promise.all(Array.from({ length: 20 }, () => FrozenClient.open(port)));
    const before = memoryHeld();
    const text = kilobyte.repeat(32);
    let isOver = false;
    for (let sent = 0; !isOver; sent += 1) {
      // The frames of all 20 clients share 30 texts of 32 KiB.
      if (sent === 30) expect(memoryHeld() - before).to.be.below(10 * 1_048_576);
      await shout(`${sent} ${text}`);
      expect(String((await healthy.receive())['text']).split(' ')[0]).to.equal(String(sent));
      isOver = counters.value('signalbox.connections') === 1;
    }
    expect(memoryHeld() - before).to.be.below(10 * 1_048_576);
    const cut = ['time', 'size'].map((reason) => counters.count('signalbox.slow_readers', { reason }));
    expect(cut.reduce((sum, count) => sum + count)).to.equal(frozen.length);
    healthy.send({ action: 'hello', request_id: 1 });
    expect(await healthy.receive()).to.include({ data: 'hello' });
    await healthy[Symbol.asyncDispose]();
    for (const client of frozen) client[Symbol.dispose]();
  });

  it('which asks for a long list is cut, and its generator ends', async () => {
    const { port } = await open({ outbound: { timeLimit: 100, softLimit: 1_024 }, closeTimeout: 50 }).listen();
    using client = await FrozenClient.open(port);
    for (let id = 0; id < 60; id += 1) client.ask('count', id);
    await until(() => counters.value('signalbox.connections') === 0, 'The end of the connection');
    expect(counters.count('signalbox.slow_readers', { reason: 'time' })).to.equal(1);
  });

  it('has a line in the log that names no request of another client, which was slow first', async () => {
    const lines: string[] = [];
    open({ outbound: { timeLimit: 100 }, closeTimeout: 50 }, new Logger('warn', (line) => lines.push(line)));
    const clients = await Promise.all(
      ['ann', 'bob'].map((userId) => connect(app, '/', { identity: { userId, sessionId: userId } })),
    );
    for (const client of clients) {
      client.freeze();
      for (let id = 0; id < 10; id += 1) client.send({ action: 'big', request_id: id });
      await until(() => answered > 5, 'The first replies');
      answered = 0;
    }
    const told = (): string[] => lines.filter((line) => line.includes('reads too slowly'));
    await until(() => told().length === 2, 'The lines');
    for (const line of told()) {
      expect(JSON.parse(line))
        .to.include({ message: 'A client that reads too slowly was disconnected.', reason: 'time' })
        .and.not.have.any.keys('user', 'action', 'requestId');
    }
  });

  it('whose socket is gone without a word is cut by the heartbeat, over real sockets', async () => {
    const { port } = await open({ heartbeat: { interval: 100, timeLimit: 50 } }).listen({ host: '127.0.0.1' });
    // It never answers a ping, as it never reads one.
    using _client = await FrozenClient.open(port);
    await until(() => counters.count('signalbox.dead_sockets') === 1, 'The cut of the heartbeat');
    await until(() => counters.value('signalbox.connections') === 0, 'The end of the connection');
  });

  it('is one of 10,000 that a message is sent to, and meanwhile a request is answered', async function () {
    this.timeout(30_000);
    open();
    let told = 0;
    const tell = (): void => {
      told += 1;
    };
    for (let each = 0; each < 10_000; each += 1) {
      await app.accept({ url: '/', headers: {} }, () => new MemoryTransport(tell));
    }
    await using ann = await connect(app, '/');
    const telling = shout('hi');
    const reply = ann.request('hello');
    await reply;
    const toldBefore = told;
    await telling;
    await app.idle();
    expect(toldBefore).to.be.below(5_000);
    expect(told).to.equal(10_000);
  });
});
