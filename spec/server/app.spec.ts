import { lookup } from 'node:dns/promises';
import { createServer, type Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { expect } from 'chai';
import express from 'express';
import fastify from 'fastify';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type ApplicationHooks,
  type AppOptions,
  Clock,
  Conflict,
  Consumer,
  NotFound,
  path,
  type Route,
  type Scope,
  type ScopeMiddleware,
  ServerClosing,
  type TransportListener,
} from 'signalbox';
import { connect, type MemoryLogger, MemoryTransport, TestClock } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { WebSocketServer } from 'ws';
import { until, within } from '../support/deadline.js';
import { handlesWithout, openHandles } from '../support/handles.js';
import { listening } from '../support/ports.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';
import { fullRefusalOf, RawClient, refusalOf, SocketClient, textFrame, upgradeRequest } from '../support/sockets.js';

/** What the specs are told of connections. */
let told: string[] = [];
let waiting: (() => void)[] = [];
let release: PromiseWithResolvers<void>;

function tell(fact: string): void {
  told.push(fact);
  for (const look of waiting.splice(0)) look();
}

async function heard(fact: string): Promise<void> {
  const hearing = async (): Promise<void> => {
    while (!told.includes(fact)) await new Promise<void>((resolve) => void waiting.push(resolve));
  };
  await within(hearing(), `Hearing "${fact}"`);
}

/** Lives as long as the container of its connection. */
@injectable()
class Guest {
  dispose(): void {
    tell('disposed');
  }
}

@injectable()
class Doorkeeper implements ScopeMiddleware {
  constructor(readonly guest: Guest) {}

  async apply({ query }: Scope): Promise<void> {
    tell('asked');
    if (query.has('wait')) await release.promise;
    if (query.has('full')) throw new Conflict('The house is full.');
    if (query.has('lost')) throw new NotFound('No such house.');
    if (query.has('broken')) throw new TypeError('A secret of the house.');
  }
}

@Consumer()
class EchoConsumer extends ApiConsumer {
  protected override onConnect(): void {
    tell('connected');
  }

  protected override onDisconnect(code: number): void {
    tell(`disconnected ${code}`);
  }

  @Action()
  async echo({ scope, kwargs }: ActionContext) {
    return { path: scope.path, params: { ...scope.params }, kwargs };
  }

  @Action()
  async wait() {
    tell('waiting');
    await release.promise;
  }

  @Action()
  async *count() {
    yield 1;
    tell('waiting');
    await release.promise;
  }
}

@Consumer()
class StuckConsumer extends ApiConsumer {
  protected override onConnect(): Promise<void> {
    return new Promise(() => {});
  }
}

const echo = (id: number): object => ({ action: 'echo', request_id: id });

describe('An application', () => {
  let logger: MemoryLogger;

  beforeEach(() => {
    told = [];
    waiting = [];
    release = Promise.withResolvers();
  });
  // Before the server closes what waits for it.
  afterEach(() => release.resolve());
  const serveRoutes = useServer();

  function open(options: Partial<AppOptions<readonly Route[]>> = {}, clock = new Clock()): App {
    const { container, logger: memory } = testProviders();
    logger = memory;
    container.registerInstance(Clock, clock);
    const routes = [
      path('/ws/echo/', EchoConsumer),
      path('/ws/rooms/:room/:seat', EchoConsumer),
      path('/ws/stuck', StuckConsumer),
    ];
    return serveRoutes(routes, { container, middleware: [Doorkeeper], ...options }).app;
  }

  async function listen(
    options: Partial<AppOptions<readonly Route[]>> = {},
    clock = new Clock(),
  ): Promise<{ app: App; url: string; port: number }> {
    const app = open(options, clock);
    const { port } = await app.listen({ host: '127.0.0.1' });
    return { app, url: `ws://127.0.0.1:${port}`, port };
  }

  describe('that listens by itself', () => {
    it('answers requests', async () => {
      const { url } = await listen();
      await using client = await SocketClient.open(`${url}/ws/echo/`);
      client.send({ action: 'echo', request_id: 1, text: 'hi' });
      expect(await client.receive()).to.deep.equal({
        errors: [],
        data: { path: '/ws/echo/', params: {}, kwargs: { text: 'hi' } },
        action: 'echo',
        response_status: 200,
        request_id: 1,
      });
    });

    it('tells plain HTTP what it speaks', async () => {
      const { url } = await listen();
      const response = await fetch(url.replace('ws:', 'http:'));
      expect(response.status).to.equal(426);
      expect(await response.text()).to.equal('This server speaks WebSocket.\n');
    });

    for (const target of ['/ws/echo', '/ws/echo/', '/ws/echo/?a=1', '/ws/echo?a=1']) {
      it(`serves ${target}, with and without a slash at the end`, async () => {
        const { url } = await listen();
        await using client = await SocketClient.open(url + target);
        client.send(echo(1));
        expect(await client.receive()).to.include({ response_status: 200 });
      });
    }

    it('gives the parameters of the path to the scope', async () => {
      const { url } = await listen();
      await using client = await SocketClient.open(`${url}/ws/rooms/red%20room/4/`);
      client.send(echo(1));
      expect(await client.receive()).to.deep.nested.include({ 'data.params': { room: 'red room', seat: '4' } });
    });

    for (const target of ['/', '/ws', '/ws/echo/more', '/ws/echo//', '/WS/echo/', '/ws/rooms//4', '/ws/rooms/%ff/4']) {
      it(`answers 404 at ${target}`, async () => {
        const { url } = await listen();
        expect(await refusalOf(url + target)).to.deep.equal({
          status: 404,
          sentence: 'Nothing is served at this path.',
        });
        expect(told).to.deep.equal([]);
      });
    }

    it('answers frames that came together with the handshake', async () => {
      const { port } = await listen();
      using client = await RawClient.open(port);
      const frame = textFrame('{"action":"echo","request_id":1}');
      client.write(
        Buffer.concat([Buffer.from(upgradeRequest('/ws/echo/')), frame, textFrame('{"action":"echo","request_id":2}')]),
      );
      const heardText = await client.hear('"request_id":2');
      expect(heardText).to.match(/^HTTP\/1\.1 101 /);
      expect(heardText).to.include('"request_id":1');
    });

    it('rejects where the port is taken, and leaves nothing', async () => {
      const { port } = await listen();
      const before = await openHandles();
      const other = open();
      const error = await other.listen({ port, host: '127.0.0.1' }).catch((thrown: unknown) => thrown);
      expect(error)
        .to.be.instanceOf(Error)
        .with.property(
          'message',
          `Port ${port} is taken. Stop the program that uses it, or listen on another one: app.listen({ port }).`,
        );
      expect(await handlesWithout(before)).to.deep.equal([]);
      await other.close();
    });

    for (const host of [undefined, '127.0.0.1', 'localhost']) {
      it(`rejects if it is closed before it listens, and leaves nothing: host ${host}`, async () => {
        const before = await openHandles();
        const app = open();
        const closed = Promise.withResolvers<void>();
        const { listen: original } = NetServer.prototype;
        NetServer.prototype.listen = function listenThenClose(this: NetServer, ...given: unknown[]): NetServer {
          NetServer.prototype.listen = original;
          Reflect.apply(original, this, given);
          app.close().then(closed.resolve, closed.reject);
          return this;
        } as typeof original;
        const error = await within(
          app.listen({ ...(host !== undefined && { host }) }).catch((thrown: unknown) => thrown),
          'The end of listening',
        );
        expect(error).to.include({ code: 'server_closing' });
        await closed.promise;
        // Node listens after it has found the address of a name.
        await lookup(host ?? 'localhost');
        expect(await handlesWithout(before)).to.deep.equal([]);
      });
    }

    it('may listen on another port after one was taken', async () => {
      const { port } = await listen();
      const other = open();
      await other.listen({ port, host: '127.0.0.1' }).catch(() => {});
      const { port: free } = await other.listen({ host: '127.0.0.1' });
      await using client = await SocketClient.open(`ws://127.0.0.1:${free}/ws/echo/`);
      client.send(echo(1));
      expect(await client.receive()).to.include({ response_status: 200 });
    });
  });

  describe('that is attached to a server of the caller', () => {
    const servers: Server[] = [];

    afterEach(async () => {
      for (const server of servers.splice(0)) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });

    async function serve(server: Server): Promise<string> {
      servers.push(server);
      return `127.0.0.1:${await listening(server)}`;
    }

    async function expectBoth(address: string): Promise<void> {
      await using client = await SocketClient.open(`ws://${address}/ws/echo/`);
      client.send(echo(1));
      expect(await client.receive()).to.include({ response_status: 200 });
      expect(await (await fetch(`http://${address}/hello`)).text()).to.equal('hello');
      expect(await refusalOf(`ws://${address}/elsewhere`)).to.include({ status: 404 });
    }

    it('serves sockets beside plain HTTP', async () => {
      const server = createServer((_request, response) => response.end('hello'));
      await open().attach(server);
      await expectBoth(await serve(server));
    });

    it('serves sockets beside Express', async () => {
      const application = express();
      application.get('/hello', (_request, response) => void response.send('hello'));
      const server = createServer(application);
      await open().attach(server);
      await expectBoth(await serve(server));
    });

    it('serves sockets beside Fastify', async () => {
      const application = fastify();
      application.get('/hello', async () => 'hello');
      const app = open();
      await app.attach(application.server);
      const address = await application.listen({ host: '127.0.0.1', port: 0 });
      await expectBoth(new URL(address).host);
      await app.close();
      await application.close();
    });

    it('leaves the path of another library to it', async () => {
      const server = createServer();
      const library = new WebSocketServer({ noServer: true });
      library.on('connection', (socket) => socket.send('{"from":"the library"}'));
      server.on('upgrade', (request, socket, head) => {
        if (request.url === '/library')
          library.handleUpgrade(request, socket, head, (one) => library.emit('connection', one));
      });
      await open().attach(server);
      const address = await serve(server);
      await using theirs = await SocketClient.open(`ws://${address}/library`);
      expect(await theirs.receive()).to.deep.equal({ from: 'the library' });
      await using ours = await SocketClient.open(`ws://${address}/ws/echo/`);
      ours.send(echo(1));
      expect(await ours.receive()).to.include({ response_status: 200 });
    });

    it('answers for its own paths beside another library, also when a middleware finds nothing', async () => {
      const server = createServer();
      server.on('upgrade', () => {});
      await open().attach(server);
      const address = await serve(server);
      expect(await refusalOf(`ws://${address}/ws/echo/?lost`)).to.deep.equal({
        status: 404,
        sentence: 'No such house.',
      });
    });

    it('leaves the server to the caller when it closes', async () => {
      const server = createServer((_request, response) => response.end('hello'));
      const app = open();
      await app.attach(server);
      const address = await serve(server);
      await app.close();
      expect(await (await fetch(`http://${address}/hello`)).text()).to.equal('hello');
      expect(server.listenerCount('upgrade')).to.equal(0);
    });
  });

  describe('during the handshake', () => {
    it('refuses with the status and the sentence of a middleware', async () => {
      const { url } = await listen();
      expect(await refusalOf(`${url}/ws/echo/?full`)).to.deep.equal({ status: 409, sentence: 'The house is full.' });
      expect(told).to.deep.equal(['asked', 'disposed']);
    });

    it('tells a correlation id, and no more, of what is unforeseen', async () => {
      const { url } = await listen();
      const { status, sentence } = await refusalOf(`${url}/ws/echo/?broken`);
      expect(status).to.equal(500);
      expect(sentence).to.match(/^A server error occurred\. Correlation id: [0-9a-f-]{36}\.$/);
      const [entry] = logger.at('error');
      expect(entry?.fields).to.include({ handshake: '/ws/echo/' });
      expect(entry?.fields['error']).to.be.instanceOf(TypeError);
    });

    it('refuses a page of another host, and asks no permission', async () => {
      const { url } = await listen();
      const refusal = await refusalOf(`${url}/ws/echo/`, { origin: 'https://evil.example' });
      expect(refusal).to.deep.equal({ status: 403, sentence: 'This page may not connect here.' });
      expect(told).to.deep.equal([]);
    });

    it('cuts a refused client that does not hang up', async () => {
      const { port } = await listen();
      using client = await RawClient.open(port);
      const before = await openHandles();
      client.write(upgradeRequest('/ws/echo/?full'));
      expect(await client.hear('The house is full.')).to.match(/^HTTP\/1\.1 409 Conflict\r\n/);
      const without = before.filter((name) => name !== 'TCPSocketWrap');
      expect(
        await handlesWithout([...without, ...before.filter((name) => name === 'TCPSocketWrap').slice(1)]),
      ).to.deep.equal([]);
    });

    const malformed: readonly [string, Record<string, string | undefined>, string][] = [
      ['no key', { 'Sec-WebSocket-Key': undefined }, '400'],
      ['a key that is too short', { 'Sec-WebSocket-Key': 'short' }, '400'],
      ['no version', { 'Sec-WebSocket-Version': undefined }, '400'],
      ['version 99', { 'Sec-WebSocket-Version': '99' }, '400'],
      ['another protocol', { Upgrade: 'h2c' }, '400'],
      ['a broken list of subprotocols', { 'Sec-WebSocket-Protocol': ',,' }, '400'],
    ];
    for (const [name, headers, status] of malformed) {
      it(`answers ${status} to ${name}, and leaves nothing behind`, async () => {
        const { port, url } = await listen();
        using client = await RawClient.open(port);
        client.write(upgradeRequest('/ws/echo/', headers));
        expect(await client.hear('\r\n\r\n')).to.match(new RegExp(`^HTTP/1\\.1 ${status} `));
        await heard('disposed');
        await using healthy = await SocketClient.open(`${url}/ws/echo/`);
        healthy.send(echo(1));
        expect(await healthy.receive()).to.include({ response_status: 200 });
        expect(told.filter((fact) => fact === 'connected')).to.have.lengthOf(1);
      });
    }

    it('lives on where a target is no path', async () => {
      const { port, url } = await listen();
      for (const target of ['*', '//', '//x/ws/echo/', 'http://127.0.0.1/ws/echo/', '/%', '/ws/echo/%00', '?', '/\\']) {
        using client = await RawClient.open(port);
        client.write(upgradeRequest(target));
        expect(await client.hear('\r\n\r\n'), target).to.match(/^HTTP\/1\.1 40[04] /);
      }
      await using healthy = await SocketClient.open(`${url}/ws/echo/`);
      healthy.send(echo(1));
      expect(await healthy.receive()).to.include({ response_status: 200 });
    });

    for (const [how, leave] of [
      ['hangs up', (client: RawClient) => client.socket.end()],
      ['breaks off', (client: RawClient) => client.socket.resetAndDestroy()],
    ] as const) {
      it(`leaves nothing behind of a client that ${how} while it is asked`, async () => {
        const { port } = await listen();
        using client = await RawClient.open(port);
        client.write(upgradeRequest('/ws/echo/?wait'));
        await heard('asked');
        leave(client);
        release.resolve();
        await heard('disposed');
      });
    }
  });

  it('runs nothing that comes after the frame that broke the protocol', async () => {
    const { port } = await listen();
    using client = await RawClient.open(port);
    client.write(upgradeRequest('/ws/echo/'));
    await client.hear('\r\n\r\n');
    const binary = Buffer.from([0x82, 0x80, 0, 0, 0, 0]);
    client.write(Buffer.concat([binary, textFrame('{"action":"wait"}')]));
    await client.hear('Text frames only.');
    client.socket.destroy();
    await heard('disposed');
    expect(told).not.to.include('waiting');
  });

  it('reads the frames of any transport, which may be bytes', async () => {
    const app = open();
    const reply = Promise.withResolvers<string>();
    const transport = new MemoryTransport(reply.resolve);
    let listener: TransportListener | undefined;
    const listen = transport.listen.bind(transport);
    transport.listen = (hears) => {
      listener = hears;
      listen(hears);
    };
    await app.accept({ url: '/ws/echo/', headers: {} }, () => transport);
    listener?.onText(new TextEncoder().encode('{"action": "grüße", "request_id": 1}'));
    expect(JSON.parse(await within(reply.promise, 'The reply'))).to.include({ action: 'grüße', response_status: 405 });
    await app.close();
  });

  describe('that closes', () => {
    it('tells clients 1001, and every consumer', async () => {
      const { app, url } = await listen();
      const client = await SocketClient.open(`${url}/ws/echo/`);
      await heard('connected');
      await app.close();
      expect(await client.closed).to.equal(1001);
      expect(told).to.deep.equal(['asked', 'connected', 'disconnected 1001', 'disposed']);
    });

    it('answers 503 to what runs and to what waits, before it says goodbye', async () => {
      const { app, url } = await listen();
      const client = await SocketClient.open(`${url}/ws/echo/`);
      client.send({ action: 'wait', request_id: 1 });
      client.send({ action: 'echo', request_id: 2 });
      await heard('waiting');
      const closing = app.close();
      const closingReply = {
        errors: ['The server is closing.'],
        data: null,
        response_status: 503,
        code: 'server_closing',
      };
      const replies = [await client.receive(), await client.receive()];
      expect(replies).to.have.deep.members([
        { ...closingReply, action: 'wait', request_id: 1 },
        { ...closingReply, action: 'echo', request_id: 2 },
      ]);
      expect(await client.closed).to.equal(1001);
      release.resolve();
      await closing;
    });

    it('answers 503 to a generator that is at its parts', async () => {
      const { app, url } = await listen();
      const client = await SocketClient.open(`${url}/ws/echo/`);
      client.send({ action: 'count', request_id: 1 });
      expect(await client.receive()).to.include({ response_status: 206, data: 1 });
      await heard('waiting');
      const closing = app.close();
      expect(await client.receive()).to.include({ response_status: 503, request_id: 1 });
      release.resolve();
      await closing;
    });

    it('cuts silent clients after 1 s, gives handshakes up after another one, and leaves no handle', async () => {
      const before = await openHandles();
      const clock = new TestClock();
      const { app, port } = await listen({}, clock);
      const clients = await Promise.all([1, 2, 3].map(() => RawClient.open(port)));
      for (const client of clients) {
        client.write(upgradeRequest('/ws/echo/'));
        await client.hear('\r\n\r\n');
      }
      const idle = await RawClient.open(port);
      idle.write('GET / HT');
      const mute = await RawClient.open(port);
      const handshaking = await RawClient.open(port);
      handshaking.write(upgradeRequest('/ws/echo/?wait'));
      await until(() => told.filter((fact) => fact === 'asked').length === 4, 'Four handshakes');
      const closed = app.close();
      clock.advance(1_000);
      await until(() => told.filter((fact) => fact.startsWith('disconnected')).length === 3, 'The cut');
      clock.advance(1_000);
      await within(closed, 'Closing');
      for (const client of [...clients, idle, mute, handshaking]) client.socket.destroy();
      expect(await handlesWithout(before)).to.deep.equal([]);
      release.resolve();
      await heard('disposed');
    });

    it('does not wait for a consumer that never gets ready', async () => {
      const { app, url } = await listen({ settings: { closeTimeout: 50 } });
      const client = await SocketClient.open(`${url}/ws/stuck`);
      client.send(echo(1));
      await within(app.close(), 'Closing');
      client.terminate();
      await client.closed;
    });

    it('refuses a handshake that was still being asked', async () => {
      const { app, url } = await listen();
      const refused = fullRefusalOf(`${url}/ws/echo/?wait`);
      await heard('asked');
      const closing = app.close();
      release.resolve();
      const { status, sentence, headers } = await refused;
      expect({ status, sentence }).to.deep.equal({ status: 503, sentence: 'The server is closing.' });
      expect(Number(headers['retry-after'])).to.be.within(1, 3);
      await closing;
      expect(told).to.deep.equal(['asked', 'disposed']);
    });

    it('closes once, however often it is asked to', async () => {
      const { app } = await listen();
      const first = app.close();
      expect(app.close()).to.equal(first);
      await first;
      await app.close();
    });

    it('accepts no connection afterwards', async () => {
      const app = open();
      await app.close();
      await expectClosing(connect(app, '/ws/echo/'));
      await expectClosing(app.listen());
      await expectClosing(app.attach(createServer()));
      await expectClosing(app.accept({ url: '/ws/echo/', headers: {} }, () => expect.fail('was connected')));
      expect(told).to.deep.equal([]);
    });

    it('need not have started', async () => {
      const before = await openHandles();
      await open().close();
      expect(await handlesWithout(before)).to.deep.equal([]);
    });
  });

  describe('with hooks', () => {
    class Hook implements ApplicationHooks {
      constructor(readonly name = 'first') {}

      async start(): Promise<void> {
        tell(`${this.name} starts`);
        await null;
        tell(`${this.name} started`);
      }

      async ready(): Promise<void> {
        tell(`${this.name} is ready`);
      }

      async stop(): Promise<void> {
        tell(`${this.name} stops`);
        await null;
        tell(`${this.name} stopped`);
      }
    }
    class First extends Hook {}
    class Second extends Hook {
      constructor() {
        super('second');
      }
    }
    class Silent implements ApplicationHooks {}
    class Refusing extends Hook {
      constructor() {
        super('refusing');
      }
      override async start(): Promise<void> {
        throw new Error('No licence.');
      }
    }
    class Failing extends Hook {
      constructor() {
        super('failing');
      }
      override async stop(): Promise<void> {
        throw new Error('Stuck.');
      }
    }

    it('starts and readies them in order, and stops them in reverse, each once', async () => {
      const { app } = await listen({ hooks: [First, Silent, Second] });
      await app.start();
      await app.attach(createServer());
      await app.close();
      expect(told).to.deep.equal([
        'first starts',
        'first started',
        'second starts',
        'second started',
        'first is ready',
        'second is ready',
        'second stops',
        'second stopped',
        'first stops',
        'first stopped',
      ]);
    });

    it('stops them after the last connection ended', async () => {
      const { app, url } = await listen({ hooks: [First] });
      await SocketClient.open(`${url}/ws/echo/`);
      await heard('connected');
      await app.close();
      expect(told.slice(-4)).to.deep.equal(['disconnected 1001', 'disposed', 'first stops', 'first stopped']);
    });

    it('does not start where one throws, and stops what did start', async () => {
      const before = await openHandles();
      const app = open({ hooks: [First, Refusing, Second] });
      const error = await app.listen().catch((thrown: unknown) => thrown);
      expect(error).to.have.property('message', 'No licence.');
      const again = await app.listen().catch((thrown: unknown) => thrown);
      expect(again).to.equal(error);
      await app.close();
      expect(told).to.deep.equal(['first starts', 'first started', 'first stops', 'first stopped']);
      expect(await handlesWithout(before)).to.deep.equal([]);
    });

    it('rejects where one is not ready, and closes all the same', async () => {
      class Unready implements ApplicationHooks {
        ready(): void {
          throw new Error('Not ready.');
        }
      }
      const before = await openHandles();
      const app = open({ hooks: [First, Unready] });
      const error = await app.listen().catch((thrown: unknown) => thrown);
      expect(error).to.have.property('message', 'Not ready.');
      await app.close();
      expect(told.slice(-2)).to.deep.equal(['first stops', 'first stopped']);
      expect(await handlesWithout(before)).to.deep.equal([]);
    });

    it('stops nothing that did not start', async () => {
      await open({ hooks: [First] }).close();
      expect(told).to.deep.equal([]);
    });

    it('logs what a stop hook throws, and stops the others', async () => {
      const app = open({ hooks: [First, Failing] });
      await app.start();
      await app.close();
      expect(told.slice(-2)).to.deep.equal(['first stops', 'first stopped']);
      expect(logger.at('error').map(({ message, fields }) => [message, fields['provider']])).to.deep.equal([
        ['A stop hook failed.', 'Failing'],
      ]);
    });

    it('waits for a start under way before it stops', async () => {
      const app = open({ hooks: [First] });
      const starting = app.listen().catch((thrown: unknown) => thrown);
      await app.close();
      expect(told).to.deep.equal(['first starts', 'first started', 'first stops', 'first stopped']);
      expect(await starting).to.be.instanceOf(ServerClosing);
    });
  });
});

async function expectClosing(promise: Promise<unknown>): Promise<void> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).to.be.instanceOf(ServerClosing);
}
