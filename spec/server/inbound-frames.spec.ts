import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { Action, ApiConsumer, type App, Consumer, type Limits, path } from 'signalbox';
import { connect, type MemoryCounters, type TestClock } from 'signalbox/testing';
import { WebSocket } from 'ws';
import { until, within } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { closeBytes, frameBytes, RawWebSocket } from '../support/raw-web-socket.js';
import { gate, useServer } from '../support/serving.js';
import { SocketClient } from '../support/sockets.js';

let taken: string[];
let left: number[];
let room: PromiseWithResolvers<void>;
/** What a text frame does to the clock. */
let work: () => void;

@Consumer({ binary: true })
class TakeConsumer extends ApiConsumer {
  @Action()
  async take() {
    taken.push('text');
    work();
    return null;
  }

  protected override async onBinary(data: Uint8Array) {
    taken.push(`binary ${data.byteLength}`);
    await room.promise;
  }

  protected override onDisconnect(code: number): void {
    left.push(code);
  }
}

/** A text of JSON with this many bytes. */
function request(bytes: number): string {
  const text = JSON.stringify({ action: 'take', request_id: 1, x: '', y: '' });
  const missing = Math.max(0, bytes - text.length);
  const half = Math.floor(missing / 2);
  return JSON.stringify({ action: 'take', request_id: 1, x: 'x'.repeat(half), y: 'y'.repeat(missing - half) });
}

/** Sends a request at once, and another one after each reply. */
async function chattingClient(url: string): Promise<WebSocket> {
  const client = new WebSocket(url);
  client.on('message', () => client.send(request(50)));
  await within(once(client, 'open'), 'The client');
  client.send(request(50));
  return client;
}

describe('Frames above a rate', () => {
  const serve = useServer();
  let app: App;
  let clock: TestClock;
  let counters: MemoryCounters;
  let server: Server;
  let sockets: Socket[];
  let port: number;

  /** Addresses have no rate of their own where none is given: one of them sends all. */
  async function open(limits: Partial<Limits> = {}, maxPayload = 65_536): Promise<void> {
    const unlimited = { addressMessagesPerSecond: 1_000_000_000, addressBytesPerSecond: 1_000_000_000 };
    const settings = { maxPayload, limits: { waitingRequests: 1_000, ...unlimited, ...limits } };
    ({ app, clock, counters } = serve([path('/', TakeConsumer)], { settings }));
    sockets = [];
    server = createServer().on('connection', (socket) => sockets.push(socket));
    app.attach(server);
    port = await listening(server);
  }

  beforeEach(() => {
    taken = [];
    left = [];
    work = () => {};
    room = gate();
    room.resolve();
  });

  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const reached = (limit: string): number => counters.count('signalbox.limits_reached', { limit });
  /** Lets everything happen that needs no time of the application. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
  };
  /** Moves the clock in steps in which sockets are read. */
  const pass = async (milliseconds: number): Promise<void> => {
    for (let passed = 0; passed < milliseconds; passed += 25) {
      clock.advance(25);
      await settle();
    }
  };

  it('wait in the kernel: the server reads no more than a few pieces of what a client floods it with', async () => {
    await open();
    using client = await RawWebSocket.open(port, '/');
    const frame = frameBytes(request(60_000));
    for (let each = 0; each < 300; each += 1) client.write(frame);
    await until(() => reached('bytes') === 1, 'The pause');
    await settle();
    expect(taken).to.have.length(4);
    expect(sockets[0]?.bytesRead).to.be.below(1_000_000);
    await pass(1_000);
    expect(taken).to.have.length.within(7, 9);
    expect(sockets[0]?.bytesRead).to.be.below(1_300_000);
  });

  it('come in their order, text and binary, and none is lost', async () => {
    await open({ bytesPerSecond: 100_000 });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const sizes = Array.from({ length: 18 }, (_, index) => 60_000 + index);
    for (const size of sizes) {
      client.sendBinary(new Uint8Array(size));
      client.sendText(request(100));
    }
    while (taken.length < 36) await pass(100);
    expect(taken).to.deep.equal(sizes.flatMap((size) => [`binary ${size}`, 'text']));
    expect(reached('bytes')).to.be.above(1);
  });

  it('of one address wait for each other, through all of its connections, which have their turns', async () => {
    await open({ messagesPerSecond: 20, messageBurst: 20, addressMessagesPerSecond: 20 });
    const clients = await Promise.all([1, 2, 3].map(() => SocketClient.open(`ws://127.0.0.1:${port}/`)));
    for (const client of clients) for (let each = 0; each < 10; each += 1) client.sendText(request(50));
    await until(() => reached('address') + reached('address_messages') === 3, 'The pauses');
    await settle();
    expect(taken).to.have.length(1);
    await pass(450);
    expect(taken).to.have.length(10);
    for (const client of clients) expect((await client.receive())['response_status']).to.equal(200);
    await using stranger = await SocketClient.open(`ws://127.0.0.1:${port}/`, { localAddress: '127.0.0.2' });
    stranger.sendText(request(50));
    expect(await stranger.receive()).to.include({ response_status: 200 });
    await pass(1_100);
    expect(taken).to.have.length(31);
    for (const client of clients) client.terminate();
  });

  it('of one address do not exceed its rate while its connections wait and the work of their frames takes time', async () => {
    await open({ messagesPerSecond: 100, messageBurst: 100, addressMessagesPerSecond: 100 });
    const began = clock.elapsed();
    const clients = await Promise.all(Array.from({ length: 30 }, () => chattingClient(`ws://127.0.0.1:${port}/`)));
    await until(() => reached('address') + reached('address_messages') >= 25, 'The pauses');
    work = () => clock.stand(2);
    await pass(1_000);
    // Its burst is a twentieth of a second's worth.
    const allowed = 5 + Math.floor((clock.elapsed() - began) / 10);
    expect(taken.length).to.be.within(allowed - 10, allowed);
    for (const client of clients) client.terminate();
  });

  it('count for their address by what they take to read: JSON of many small values for more than its bytes', async () => {
    await open({ bytesPerSecond: 64_000, addressBytesPerSecond: 64_000 }, 10_000);
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    client.send({ action: 'take', request_id: 1, x: Array.from({ length: 999 }, () => 0) });
    client.send({ action: 'take', request_id: 2 });
    await until(() => reached('address_bytes') === 1, 'The pause');
    await settle();
    expect(taken).to.have.length(1);
    // Some 2,000 signs of 32 bytes take a second, of which an address may send a twentieth at once.
    await pass(900);
    expect(taken).to.have.length(1);
    await pass(150);
    expect(taken).to.have.length(2);
  });

  it('are never less for an address than for one connection', async () => {
    const far = 1_000_000_000;
    await open({ addressMessagesPerSecond: 1, addressBytesPerSecond: 1, messagesPerSecond: far, bytesPerSecond: far });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 100; each += 1) client.sendText(request(100));
    for (let each = 0; each < 100; each += 1) expect(await client.receive()).to.include({ response_status: 200 });
  });

  it('are not forgotten by leaving: those that were dropped count for the address', async () => {
    await open({ messagesPerSecond: 100, messageBurst: 1, addressMessagesPerSecond: 100 });
    using gone = await RawWebSocket.open(port, '/');
    gone.write(Buffer.concat(Array.from({ length: 200 }, () => frameBytes(request(50)))));
    await until(() => reached('messages') + reached('address_messages') === 1, 'The pause');
    sockets[0]?.destroy();
    await until(() => left.length === 1, 'The end');
    await using next = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    next.sendText(request(50));
    await settle();
    await pass(1_500);
    expect(taken).to.have.length(1);
    await pass(1_000);
    expect(taken).to.have.length(2);
  });

  it('close with 1013 a client whose frames are not read for 8 s', async () => {
    await open({ bytesPerSecond: 1_000 });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 3; each += 1) client.sendText(request(60_000));
    await until(() => reached('bytes') === 1, 'The pause');
    await pass(7_900);
    expect(left).to.deep.equal([]);
    await pass(200);
    expect(await client.closed).to.equal(1013);
    expect(client.reason).to.equal('Messages waited too long.');
    expect(reached('pause')).to.equal(1);
    expect(taken).to.have.length(1);
  });

  it('close with 1013 at once a client that has sent more than would be read in that time', async () => {
    await open({ messagesPerSecond: 10, messageBurst: 10, pauseTime: 1_000 });
    using client = await RawWebSocket.open(port, '/');
    client.write(Buffer.concat(Array.from({ length: 30 }, () => frameBytes(request(50)))));
    for (let answer = await client.answer(); !('close' in answer); ) answer = await client.answer();
    expect(reached('kept_messages')).to.equal(1);
    expect(taken).to.have.length(10);
  });

  it('are all handled where they are no more than a burst, though their address may send less at once', async () => {
    await open({ addressMessagesPerSecond: 1_000 });
    using client = await RawWebSocket.open(port, '/');
    client.write(Buffer.concat(Array.from({ length: 500 }, () => frameBytes(request(50)))));
    await until(() => reached('address_messages') === 1, 'The pause');
    expect(taken).to.have.length(50);
    await pass(500);
    expect(taken).to.have.length(500);
    expect(reached('kept_messages')).to.equal(0);
  });

  it('hide the end of their client for no longer than that', async () => {
    await open({ bytesPerSecond: 20_000 });
    const client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 40; each += 1) client.sendText(request(60_000));
    await until(() => reached('bytes') === 1, 'The pause');
    client.terminate();
    await settle();
    expect(left).to.deep.equal([]);
    await pass(8_100);
    await until(() => left.length === 1, 'The end');
  });

  it('keep the heartbeat from their connection, which cannot answer', async () => {
    await open({ bytesPerSecond: 1_000, pauseTime: 100_000 });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 2; each += 1) client.sendText(request(60_000));
    await until(() => reached('bytes') === 1, 'The pause');
    for (let second = 0; second < 62; second += 1) clock.advance(1_000);
    await until(() => taken.length === 2, 'The second frame');
    expect(counters.count('signalbox.dead_sockets')).to.equal(0);
    expect(left).to.deep.equal([]);
  });

  it('wait while as many requests wait as may, if they are binary', async () => {
    await open({ waitingRequests: 2 });
    room = gate();
    await using client = await connect(app, '/');
    for (let each = 0; each < 10; each += 1) client.sendBinary(new Uint8Array(each));
    await until(() => reached('waiting_requests') === 1, 'The pause');
    room.resolve();
    while (taken.length < 10) await pass(25);
    expect(taken).to.deep.equal(Array.from({ length: 10 }, (_, index) => `binary ${index}`));
    expect(client.frames).to.deep.equal([]);
  });

  it('are not read behind the end of the conversation either', async () => {
    await open();
    for (const end of [frameBytes('a', { reserved: 4 }), closeBytes(1000)]) {
      using client = await RawWebSocket.open(port, '/');
      client.write(Buffer.concat([end, Buffer.alloc(20_000_000)]));
      expect(await client.answer()).to.have.property('close');
      await settle();
      expect(sockets.at(-1)?.bytesRead).to.be.below(2_000_000);
    }
  });

  it('find a connection at work again once its rate allows', async () => {
    await open({ messageBurst: 1 });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let round = 0; round < 5; round += 1) {
      for (let each = 0; each < 2; each += 1) client.sendText(request(50));
      await until(() => reached('messages') === round + 1, 'The pause');
      await pass(100);
      for (let each = 0; each < 2; each += 1) await within(client.receive(), 'A reply');
    }
    expect(clock.waiting).to.equal(1);
  });
});
