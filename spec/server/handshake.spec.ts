import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  Conflict,
  Consumer,
  cookieSession,
  demultiplexer,
  PermissionDenied,
  path,
  router,
  type Scope,
  type ScopeMiddleware,
  type Settings,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { checkOrigin } from '#signalbox/server/handshake.js';
import type { GivenSettings } from '#signalbox/settings.js';
import { within } from '../support/deadline.js';
import { useServer } from '../support/serving.js';
import { RawClient, refusalOf, SocketClient, textFrame, upgradeRequest } from '../support/sockets.js';

let told: string[] = [];
let asked = Promise.withResolvers<void>();
let release = Promise.withResolvers<void>();
let disposed = Promise.withResolvers<void>();

class Sessions {
  async find(token: string) {
    told.push(`session ${token}`);
    return { userId: '1' };
  }
}

/** Lives as long as its connection. */
@injectable()
class Guest {
  dispose(): void {
    told.push('disposed');
    disposed.resolve();
  }
}

@injectable()
class Slow implements ScopeMiddleware {
  constructor(readonly guest: Guest) {}

  async apply({ query }: Scope): Promise<void> {
    asked.resolve();
    await release.promise;
    if (query.has('full')) throw new Conflict('The house is full.');
    if (query.has('broken')) throw new TypeError('Broken.');
  }
}

function tells(name: string) {
  return class implements ScopeMiddleware {
    apply(): void {
      told.push(name);
    }
  };
}

@Consumer()
class EchoConsumer extends ApiConsumer {
  @Action()
  async echo() {
    told.push('echo');
    return { params: { ...this.scope.params } };
  }
}

const echo = (id: number): string => `{"action":"echo","request_id":${id}}`;

describe('The handshake', () => {
  const serve = useServer();

  beforeEach(() => {
    told = [];
    asked = Promise.withResolvers();
    release = Promise.withResolvers();
    disposed = Promise.withResolvers();
  });
  afterEach(() => release.resolve());

  async function listen(settings: GivenSettings = {}) {
    const served = serve(
      [
        path('/cookie/', EchoConsumer, { middleware: [cookieSession(Sessions)] }),
        path('/open/', EchoConsumer),
        path('/slow/', EchoConsumer, { middleware: [Slow] }),
      ],
      { settings },
    );
    const { port } = await served.app.listen({ host: '127.0.0.1' });
    return { ...served, port, url: `ws://127.0.0.1:${port}` };
  }

  /** What a client that says exactly this is answered. */
  async function statusOf(port: number, target: string, headers: Record<string, string | undefined>): Promise<number> {
    using client = await RawClient.open(port);
    client.write(upgradeRequest(target, headers));
    const answer = await client.hear('\r\n\r\n');
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  }

  describe('and the page that it comes from', () => {
    // Scheme and host are compared without their case (RFC 6454, 4): browsers send them in lower case, and no page can make
    // them send anything else.
    const host = 'chat.example.org:8000';
    const here = `http://${host}`;
    const table: readonly [string, Settings['origins'], string | undefined, number][] = [
      ['the same host', 'same', here, 101],
      ['the same host over TLS, which a proxy may have ended', 'same', 'https://chat.example.org:8000', 101],
      ['the same host in upper case', 'same', here.toUpperCase(), 101],
      ['no Origin header', 'same', undefined, 403],
      ['null: a sandbox, a file, a redirect', 'same', 'null', 403],
      ['an empty one', 'same', '', 403],
      ['another host', 'same', 'http://evil.example', 403],
      ['another port', 'same', 'http://chat.example.org:8001', 403],
      ['no port', 'same', 'http://chat.example.org', 403],
      ['a host below', 'same', 'http://a.chat.example.org:8000', 403],
      ['a host above', 'same', 'http://example.org:8000', 403],
      ['a host that begins with it', 'same', 'http://chat.example.org.evil.example:8000', 403],
      ['a host that ends with it', 'same', 'http://evilchat.example.org:8000', 403],
      ['a suffix that stands where the top level domain does', 'same', 'https://chat.example.org:8000.evil', 403],
      ['a user of that name', 'same', 'http://chat.example.org:8000@evil.example', 403],
      ['a path of that name', 'same', 'http://evil.example/chat.example.org:8000', 403],
      ['a slash behind it', 'same', `${here}/`, 403],
      ['a backslash behind it', 'same', `${here}\\`, 403],
      ['another scheme', 'same', 'ws://chat.example.org:8000', 403],
      ['no scheme', 'same', host, 403],
      ['the header twice', 'same', `${here}\r\nOrigin: http://evil.example`, 403],
      ['the header twice, the other one first', 'same', `http://evil.example\r\nOrigin: ${here}`, 403],
      ['the header twice, both good', 'same', `${here}\r\nOrigin: ${here}`, 403],
      ['a listed origin', ['https://good.example'], 'https://good.example', 101],
      ['a listed one in upper case', ['https://good.example'], 'HTTPS://GOOD.example', 101],
      ['a listed one with the port of its scheme', ['https://good.example'], 'https://good.example:443', 101],
      ['a listed one with another port', ['https://good.example'], 'https://good.example:444', 403],
      ['a listed one with another scheme', ['https://good.example'], 'http://good.example', 403],
      ['the host that it connects to, which is not listed', ['https://good.example'], here, 403],
      ['a suffix of a listed one', ['https://good.example'], 'https://good.example.evil', 403],
      ['a listed one and another', ['https://good.example'], 'https://good.example\r\nOrigin: https://evil', 403],
    ];
    for (const [name, origins, origin, status] of table) {
      it(`answers ${status} to ${name}, where a cookie is the credential`, async () => {
        const { port } = await listen({ origins });
        const headers = { Host: host, Cookie: 'session=ann', Origin: origin };
        expect(await statusOf(port, '/cookie/', headers)).to.equal(status);
        expect(told).to.deep.equal(status === 101 ? ['session ann'] : []);
      });
    }

    it('needs no Origin header where no cookie is the credential', async () => {
      const { port } = await listen();
      expect(await statusOf(port, '/open/', {})).to.equal(101);
      expect(await statusOf(port, '/open/', { Cookie: 'session=ann' })).to.equal(101);
      expect(await statusOf(port, '/cookie/', {})).to.equal(101);
      expect(told).to.deep.equal([]);
    });
  });

  describe('with frames behind it in the same packet', () => {
    async function pipeline(port: number, target: string): Promise<RawClient> {
      const client = await RawClient.open(port);
      client.write(Buffer.concat([Buffer.from(upgradeRequest(target)), textFrame(echo(1)), textFrame(echo(2))]));
      await within(asked.promise, 'The middleware');
      client.write(textFrame(echo(3)));
      return client;
    }

    it('runs none of them before it is granted, and all of them afterwards, in their order', async () => {
      const { port } = await listen();
      using client = await pipeline(port, '/slow/');
      // Another socket goes all the way meanwhile: the first one had its time.
      await using other = await SocketClient.open(`ws://127.0.0.1:${port}/open/`);
      other.sendText(echo(9));
      expect(await other.receive()).to.include({ request_id: 9 });
      expect(told).to.deep.equal(['echo']);
      release.resolve();
      const answer = await client.hear('"request_id":3');
      expect(answer).to.match(/^HTTP\/1\.1 101 /);
      expect([...answer.matchAll(/"request_id":(\d)/g)].map(([, id]) => id)).to.deep.equal(['1', '2', '3']);
    });

    it('never runs them where it is refused', async () => {
      const { port } = await listen();
      using client = await pipeline(port, '/slow/?full');
      release.resolve();
      expect(await client.hear('The house is full.')).to.match(/^HTTP\/1\.1 409 /);
      await within(disposed.promise, 'The end of the scope');
      expect(told).to.deep.equal(['disposed']);
    });
  });

  describe('that takes too long', () => {
    const late = { status: 503, sentence: 'The server took too long to answer. Try again later.' };

    async function exceed(target: string): Promise<{ logger: MemoryLogger }> {
      const { url, clock, logger } = await listen();
      const refusal = refusalOf(url + target);
      await within(asked.promise, 'The middleware');
      await new Promise(setImmediate);
      clock.advance(9_999);
      expect(clock.waiting).to.equal(1);
      clock.advance(1);
      expect(await refusal).to.deep.equal(late);
      expect(told).to.deep.equal([]);
      return { logger };
    }

    it('is refused with 503, and its scope disposed of once the middleware settles', async () => {
      const { logger } = await exceed('/slow/');
      release.resolve();
      await within(disposed.promise, 'The end of the scope');
      expect(
        logger.at('warn').map(({ message, fields }) => [message, fields['handshake'] ?? fields['path']]),
      ).to.deep.equal([
        ['A handshake exceeded its time limit.', '/slow/'],
        ['An upgrade was refused.', '/slow/'],
      ]);
    });

    it('is logged where the middleware fails at last', async () => {
      const { logger } = await exceed('/slow/?broken');
      release.resolve();
      await within(disposed.promise, 'The end of the scope');
      await new Promise(setImmediate);
      expect(logger.at('error').map(({ fields }) => String(fields['error']))).to.deep.equal(['TypeError: Broken.']);
    });

    it('is refused also where a middleware never settles, and keeps no application from closing', async () => {
      const { logger } = await exceed('/slow/');
      expect(logger.at('warn')).to.have.lengthOf(2);
    });

    it('says when it is worth another try', async () => {
      const { port, clock } = await listen();
      using client = await RawClient.open(port);
      client.write(upgradeRequest('/slow/'));
      await within(asked.promise, 'The middleware');
      clock.advance(10_000);
      const answer = await client.hear('Try again later.\n');
      expect(answer).to.match(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
      expect(answer).to.include('\r\nRetry-After: 1\r\n');
    });

    it('may take as long as the application sets', async () => {
      const { app, clock } = await listen({ handshakeTimeLimit: 50 });
      const refused = connect(app, '/slow/').catch((error: unknown) => error);
      await asked.promise;
      clock.advance(50);
      expect(await refused).to.include({ status: 503, code: 'handshake_timed_out' });
    });

    it('is refused where the application drains meanwhile', async () => {
      const { app } = await listen({ drain: { delay: 0 } });
      const refused = connect(app, '/slow/').catch((error: unknown) => error);
      await asked.promise;
      const drained = app.drain();
      release.resolve();
      expect(await refused).to.include({ status: 503, code: 'server_closing' });
      await within(disposed.promise, 'The end of the scope');
      await drained;
    });

    it('leaves no timer behind where it did not', async () => {
      const { app, clock } = await listen();
      release.resolve();
      await using _ann = await connect(app, '/slow/');
      await connect(app, '/slow/?full').catch(() => {});
      // That of the heartbeat.
      expect(clock.waiting).to.equal(1);
    });
  });

  describe('through several routers', () => {
    let app: App;

    beforeEach(async () => {
      const [tenant, room, seat] = [tells('tenant'), tells('room'), tells('seat')];
      const rooms = router(
        [path(':room(int)/', EchoConsumer), path(':room(int)/:seat/', EchoConsumer, { middleware: [seat] })],
        { middleware: [room] },
      );
      const routes = [
        path(
          '/ws/:tenant/',
          router([path('', demultiplexer({ echo: EchoConsumer })), path('rooms/', rooms)], { middleware: [tenant] }),
        ),
        path('/other/', EchoConsumer),
      ];
      ({ app } = serve(routes, { middleware: [tells('application')] }));
    });

    it('runs the middleware from outside in', async () => {
      await using _ann = await connect(app, '/ws/red/rooms/4/a/');
      expect(told).to.deep.equal(['application', 'tenant', 'room', 'seat']);
      told = [];
      await using _bob = await connect(app, '/ws/red/');
      expect(told).to.deep.equal(['application', 'tenant']);
      told = [];
      await using _cid = await connect(app, '/other/');
      expect(told).to.deep.equal(['application']);
    });

    it('gives the parameters of all', async () => {
      await using ann = await connect(app, '/ws/red/rooms/4/a/');
      expect((await ann.request('echo')).data).to.deep.equal({ params: { tenant: 'red', room: '4', seat: 'a' } });
      await using bob = await connect(app, '/ws/blue/');
      expect((await bob.channel('echo').request('echo')).data).to.deep.equal({ params: { tenant: 'blue' } });
    });
  });

  it('lives on where a client breaks off at any byte of it', async () => {
    const { port, url } = await listen();
    const request = upgradeRequest('/open/', { Cookie: 'session=ann', Origin: 'http://a' });
    for (const end of request.split('').keys()) {
      using client = await RawClient.open(port);
      client.write(request.slice(0, end + 1));
      client.socket.resetAndDestroy();
    }
    await using healthy = await SocketClient.open(`${url}/open/`);
    healthy.sendText(echo(1));
    expect(await healthy.receive()).to.include({ request_id: 1 });
  });

  it('lives on whatever stands in path and query', async () => {
    const { port, url } = await listen();
    const path = (target: string): string => `/open/${target}`;
    for (const target of ['?%', '?a=%ff', '?%ED%A0%80=%ED%A0%80', '?a=%00', '?#', '?a=1#b', '??', '?__proto__=1'])
      expect(await statusOf(port, path(target), {}), target).to.equal(101);
    for (const target of ['%', '%ff', '%ED%A0%80', '%00', '#', '..', '\\', '%2e%2e/open/'])
      expect(await statusOf(port, path(target), {}), target).to.be.oneOf([400, 404]);
    expect(await refusalOf(`${url}/none/`)).to.include({ status: 404 });
  });
});

type Origins = 'same' | 'any' | readonly string[];

/** Scheme and host have no case (RFC 6454, 4); a header that is more than an origin, or several, is none (6.2). */
const list = ['https://example.org', 'http://localhost:8080'];

describe('The check of the origin', () => {
  const table: readonly [boolean, Origins, string | undefined, string | undefined][] = [
    [true, 'same', undefined, 'example.org'],
    [true, 'same', 'https://example.org', 'example.org'],
    [true, 'same', 'http://example.org', 'example.org'],
    [true, 'same', 'https://example.org', 'example.org:443'],
    [true, 'same', 'http://example.org', 'example.org:80'],
    [true, 'same', 'http://localhost:8000', 'localhost:8000'],
    [true, 'same', 'http://[::1]:8000', '[::1]:8000'],
    [true, 'same', 'https://Example.ORG', 'example.org'],
    [true, 'same', 'https://example.org', 'EXAMPLE.org'],
    [false, 'same', 'https://other.org', 'example.org'],
    [false, 'same', 'https://www.example.org', 'example.org'],
    [false, 'same', 'http://localhost:8001', 'localhost:8000'],
    [false, 'same', 'http://localhost', 'localhost:8000'],
    [false, 'same', 'http://example.org', 'example.org:443'],
    [false, 'same', 'https://example.org.evil.org', 'example.org'],
    [false, 'same', 'https://evilexample.org', 'example.org'],
    [false, 'same', 'https://example.org@evil.org', 'example.org'],
    [false, 'same', 'https://evil.org/example.org', 'example.org'],
    [false, 'same', 'https://example.org/', 'example.org'],
    [false, 'same', 'https://example.org?', 'example.org'],
    [false, 'same', 'https://example.org\\', 'example.org'],
    [false, 'same', 'null', 'example.org'],
    [false, 'same', 'null', 'null'],
    [false, 'same', '', 'example.org'],
    [false, 'same', 'example.org', 'example.org'],
    [false, 'same', 'file://example.org', 'example.org'],
    [false, 'same', 'chrome-extension://example.org', 'example.org'],
    [false, 'same', 'https://example.org, https://evil.org', 'example.org'],
    [false, 'same', 'https://example.org', undefined],
    [false, 'same', 'https://example.org', 'exa mple'],
    [true, 'any', 'https://evil.org', 'example.org'],
    [true, 'any', 'null', 'example.org'],
    [true, list, undefined, 'example.org'],
    [true, list, 'https://example.org', 'api.example.org'],
    [true, list, 'http://localhost:8080', 'api.example.org'],
    [false, list, 'http://example.org', 'example.org'],
    [false, list, 'https://example.org:8443', 'example.org'],
    [false, list, 'https://example.org.evil.org', 'example.org'],
    [true, list, 'https://EXAMPLE.org', 'example.org'],
    [true, list, 'HTTPS://example.org:443', 'example.org'],
    [false, list, 'https://example.org/', 'example.org'],
    [false, list, 'https://example.org, http://localhost:8080', 'example.org'],
    [false, list, 'https://example.org,https://example.org', 'example.org'],
    [false, list, 'null', 'example.org'],
    [false, [], 'https://example.org', 'example.org'],
  ];
  for (const [passes, origins, origin, host] of table) {
    it(`${passes ? 'passes' : 'refuses'} ${origin ?? 'no origin'} at ${host ?? 'no host'} where ${JSON.stringify(origins)} may connect`, () => {
      const check = (): void => checkOrigin({ url: '/', headers: { origin, host } }, origins);
      if (passes) check();
      else expect(check).to.throw(PermissionDenied, 'This page may not connect here.');
    });
  }

  it('takes a page without TLS for another origin where the client came over TLS', () => {
    const check = (origin: string): void =>
      checkOrigin({ url: '/', headers: { origin, host: 'example.org' }, encrypted: true }, 'same');
    check('https://example.org');
    expect(() => check('http://example.org')).to.throw(PermissionDenied);
  });
});
