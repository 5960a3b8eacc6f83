import { expect } from 'chai';
import type { Client, ClientOptions, ConnectionStatus, StatusReason } from 'signalbox/client';
import { FakeNetwork, settled } from './fake-network.js';

describe('The connection of a client', () => {
  let network: FakeNetwork;
  let client: Client<object>;
  let told: ConnectionStatus[];
  let why: StatusReason;
  beforeEach(() => {
    network = new FakeNetwork();
  });

  async function start(options: ClientOptions = {}, url?: () => string | Promise<string>): Promise<void> {
    client = network.createClient(options, url);
    told = [];
    client.$onStatus((status, reason) => {
      told.push(status);
      why = reason;
    });
    await settled();
  }

  /** How long it waits before the next attempt, to the millisecond. */
  async function delay(): Promise<number> {
    const { length } = network.sockets;
    for (let waited = 0; waited <= 60_000; waited++) {
      if (network.sockets.length > length) return waited;
      network.clock.advance(1);
      if (network.clock.waiting === 0 || client.$status === 'connecting') {
        await settled();
        return waited + 1;
      }
    }
    throw new Error('It did not connect again.');
  }

  it('connects at once, and tells its status', async () => {
    await start();
    expect(client.$status).to.equal('connecting');
    await network.open();
    expect(client.$status).to.equal('open');
    expect(told).to.deep.equal(['open']);
    expect(network.socket).to.deep.include({ url: 'ws://fake/', protocols: [] });
  });

  it('waits for the first request where it is lazy', async () => {
    await start({ lazy: true });
    expect([client.$status, network.sockets.length]).to.deep.equal(['idle', 0]);
    void client.$request(null, { action: 'list' });
    await network.open();
    expect(network.socket.sent).to.deep.equal([{ action: 'list', request_id: 1 }]);
  });

  it('asks for its url and its token before every attempt', async () => {
    let count = 0;
    await start({ token: async () => `t${count}`, protocols: ['chat'] }, () => `ws://fake/?ticket=${++count}`);
    expect(network.socket).to.deep.include({
      url: 'ws://fake/?ticket=1',
      protocols: ['signalbox', 'bearer.t1', 'chat'],
    });
    (await network.open()).drop();
    await network.advance(3_000);
    expect(network.socket).to.deep.include({
      url: 'ws://fake/?ticket=2',
      protocols: ['signalbox', 'bearer.t2', 'chat'],
    });
  });

  it('is closed once, also by a listener that closes it at every change', async () => {
    await start();
    client.$onStatus(() => client.$close());
    await network.open();
    client.$close();
    client.$reconnect();
    expect([client.$status, told]).to.deep.equal(['closed', ['open', 'closed']]);
  });

  it('offers no token where there is none', async () => {
    await start({ token: () => null });
    expect(network.socket.protocols).to.deep.equal([]);
  });

  it('waits a random time that doubles, up to the longest, and forgets failures after a healthy time only', async () => {
    network.random = 1;
    await start({ heartbeat: 0 });
    const delays: number[] = [];
    for (let failure = 0; failure < 6; failure++) {
      network.socket.drop();
      delays.push(await delay());
    }
    expect(delays).to.deep.equal([3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
    await network.open();
    await network.advance(29_999);
    network.socket.drop();
    expect(await delay()).to.equal(30_000);
    await network.open();
    await network.advance(30_000);
    network.random = 0.5;
    network.socket.drop();
    expect(await delay()).to.equal(1_500);
  });

  it('takes its delays from the options', async () => {
    network.random = 1;
    await start({ firstDelay: 10, maxDelay: 15, healthyAfter: 100, heartbeat: 0 });
    network.socket.drop();
    expect(await delay()).to.equal(10);
    network.socket.drop();
    expect(await delay()).to.equal(15);
    await network.open();
    await network.advance(100);
    network.socket.drop();
    expect(await delay()).to.equal(10);
  });

  it('waits ten seconds more for an overloaded server', async () => {
    network.random = 0;
    await start();
    (await network.open()).drop(1013);
    expect(await delay()).to.equal(10_000);
  });

  it('comes back when a draining server says, and sends nothing there meanwhile', async () => {
    await start();
    const socket = await network.open();
    socket.receive({ stream: null, payload: drain(700) });
    void client.$request(null, { action: 'list' });
    expect([client.$status, socket.sent]).to.deep.equal(['open', []]);
    socket.drop(1012);
    expect(await delay()).to.equal(700);
    await network.open();
    expect(network.socket.sent).to.deep.equal([{ action: 'list', request_id: 1 }]);
  });

  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4408]) {
    it(`comes back after ${code}`, async () => {
      await start();
      (await network.open()).drop(code, 'why');
      expect(client.$status).to.equal('waiting');
      expect(why).to.deep.equal({ code, reason: 'why' });
    });
  }

  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000, 4403]) {
    it(`stops after ${code}, until it is told to come back`, async () => {
      await start();
      (await network.open()).drop(code, 'why');
      expect(client.$status).to.equal('stopped');
      expect(why).to.deep.equal({ code, reason: 'why' });
      await network.advance(3_600_000);
      expect(network.sockets).to.have.length(1);
      client.$reconnect();
      await network.open();
      expect(client.$status).to.equal('open');
    });
  }

  it('leaves the decision to the application where it has one', async () => {
    const decisions: Record<number, boolean> = { 4000: true, 1006: false };
    await start({ reconnectAfter: (code) => decisions[code] });
    (await network.open()).drop(4000);
    expect(client.$status).to.equal('waiting');
    await network.advance(3_000);
    (await network.open()).drop(1012);
    expect(client.$status).to.equal('waiting');
    await network.advance(6_000);
    (await network.open()).drop(1006);
    expect(client.$status).to.equal('stopped');
  });

  it('asks for a fresh token once after 4401, and stops where that is refused as well', async () => {
    let tokens = 0;
    await start({ token: () => `t${++tokens}`, heartbeat: 0 });
    (await network.open()).drop(4401);
    await network.advance(0);
    await network.open();
    expect(network.socket.protocols).to.deep.equal(['signalbox', 'bearer.t2']);
    await network.advance(30_000);
    network.socket.drop(4401);
    await network.advance(0);
    (await network.open()).drop(4401);
    expect([client.$status, tokens]).to.deep.equal(['unauthenticated', 3]);
    await network.advance(3_600_000);
    expect(network.sockets).to.have.length(3);
  });

  it('asks again for a token that could not be had', async () => {
    const failure = new Error('no network');
    let tokens = 0;
    const token = async (): Promise<string> => {
      if (++tokens === 1) throw failure;
      return 'later';
    };
    await start({ token });
    expect([client.$status, why]).to.deep.equal(['waiting', { error: failure }]);
    await network.advance(3_000);
    expect(network.socket.protocols).to.include('bearer.later');
  });

  it('asks again for a url that throws at once', async () => {
    const failure = new Error('not now');
    let urls = 0;
    const url = (): string => {
      if (++urls === 1) throw failure;
      return 'ws://later/';
    };
    await start({}, url);
    expect([client.$status, why]).to.deep.equal(['waiting', { error: failure }]);
    await network.advance(3_000);
    expect([client.$status, network.socket.url]).to.deep.equal(['connecting', 'ws://later/']);
  });

  it('stops at a url that is none', async () => {
    await start({ WebSocket }, () => 'no url at all');
    expect(client.$status).to.equal('stopped');
    expect(why.error).to.have.property('name', 'SyntaxError');
    const refusal = await client.$request(null, { action: 'list' }).catch((error: unknown) => error);
    expect(refusal).to.include({ code: 'stopped', message: 'list: stopped' });
  });

  it('gives up an attempt that takes too long, also that for a token', async () => {
    await start();
    await network.advance(10_000);
    expect([client.$status, why]).to.deep.equal(['waiting', { reason: 'timeout' }]);
    client.$close();
    await start({ token: () => new Promise(() => {}), connectTimeout: 50 });
    await network.advance(50);
    expect(client.$status).to.equal('waiting');
  });

  it('hears nothing of a socket that it gave up', async () => {
    await start();
    const late = network.socket;
    await network.advance(10_000);
    late.open();
    expect(client.$status).to.equal('waiting');
    await network.advance(3_000);
    late.drop();
    expect(client.$status).to.equal('connecting');
  });

  it('asks a silent server for a sign of life, and gives it up where none comes', async () => {
    await start();
    const socket = await network.open();
    await network.advance(19_999);
    expect(socket.sent).to.deep.equal([]);
    await network.advance(1);
    expect(socket.sent).to.deep.equal([{ action: 'ping' }]);
    socket.receive({ errors: [], data: null, action: 'ping', response_status: 200, request_id: null });
    await network.advance(29_999);
    expect(client.$status).to.equal('open');
    await network.advance(1);
    expect([client.$status, why.reason]).to.deep.equal(['waiting', 'timeout']);
  });

  it('takes any frame for a sign of life', async () => {
    await start({ heartbeat: 100, heartbeatTimeout: 50 });
    const socket = await network.open();
    for (let turn = 0; turn < 10; turn++) {
      await network.advance(99);
      socket.receive({ tick: turn });
    }
    expect(socket.sent).to.deep.equal([]);
    await network.advance(250);
    expect(client.$status).to.equal('waiting');
  });

  it('never asks where the heartbeat is 0', async () => {
    await start({ heartbeat: 0 });
    await network.open();
    await network.advance(3_600_000);
    expect([client.$status, network.socket.sent]).to.deep.equal(['open', []]);
  });

  it('closes for good', async () => {
    await start();
    await network.open();
    client.$close();
    expect([client.$status, network.socket.readyState, network.clock.waiting]).to.deep.equal(['closed', 3, 0]);
    client.$reconnect();
    await network.advance(3_600_000);
    expect([client.$status, network.sockets.length]).to.deep.equal(['closed', 1]);
  });

  it('takes what listeners do to it while they are told', async () => {
    await start();
    client.$onStatus((status) => status === 'waiting' && client.$close());
    (await network.open()).drop();
    await network.advance(3_600_000);
    expect([client.$status, network.sockets.length]).to.deep.equal(['closed', 1]);
  });

  it('replaces its socket when it is told to', async () => {
    await start();
    const first = await network.open();
    client.$reconnect();
    await network.open();
    expect([first.readyState, network.sockets.length, client.$status]).to.deep.equal([3, 2, 'open']);
  });
});

function drain(retryAfter: number): object {
  const errors = ['The server is restarting.'];
  const data = { retry_after_ms: retryAfter };
  return { errors, data, action: 'drain', response_status: 503, request_id: null, code: 'server_closing' };
}
