import { expect } from 'chai';
import {
  Consumer,
  type GivenSettings,
  IsAuthenticated,
  NotAuthenticated,
  type Permission,
  Permissions,
  path,
  type Scope,
  type ScopeMiddleware,
  withOptions,
} from 'signalbox';
import { SilentConsumer, useServer } from '../support/serving.js';
import { RawClient, refusalOf, SocketClient, upgradeRequest } from '../support/sockets.js';

class IsInvited implements Permission<{ to: string }> {
  canConnect(): boolean {
    return false;
  }

  hasPermission(_context: unknown, _options: { to: string }): boolean {
    return true;
  }
}

class Stranger implements ScopeMiddleware {
  apply(): void {
    throw new NotAuthenticated('This token is not ours.');
  }
}

class Ann implements ScopeMiddleware {
  apply(scope: Scope): void {
    scope.user = { id: 3 };
  }
}

class Broken implements ScopeMiddleware {
  apply(): void {
    throw new TypeError('Broken.');
  }
}

@Consumer()
@Permissions(IsAuthenticated)
class ClosedConsumer extends SilentConsumer {}

@Consumer()
@Permissions(IsAuthenticated, withOptions(IsInvited, { to: 'tea' }))
class InvitedConsumer extends SilentConsumer {}

const routes = [
  path('/open/', SilentConsumer),
  path('/closed/', ClosedConsumer),
  path('/invited/', InvitedConsumer, { middleware: [Ann] }),
  path('/token/', SilentConsumer, { middleware: [Stranger] }),
  path('/broken/', SilentConsumer, { middleware: [Broken] }),
];

describe('A refused upgrade', () => {
  const serve = useServer();

  async function listen(settings: GivenSettings = {}) {
    const { app, logger, clock } = serve(routes, { settings });
    const { port } = await app.listen({ host: '127.0.0.1' });
    const host = `127.0.0.1:${port}`;
    const told = () => logger.entries.filter(({ message }) => message === 'An upgrade was refused.');
    return { url: `ws://${host}`, host, port, told, clock, logger };
  }

  const refused: readonly [target: string, status: number, code: string, remedy: string][] = [
    [
      '/closed/?token=secret',
      401,
      'not_authenticated',
      'No user is logged in: see the middleware, or @Permissions(IsAuthenticated).',
    ],
    ['/token/', 401, 'not_authenticated', 'See the middleware that authenticates on this route.'],
    ['/invited/', 403, 'permission_denied', 'See @Permissions(IsAuthenticated, withOptions(IsInvited, {"to":"tea"})).'],
    ['/elsewhere/', 404, 'not_found', 'Served paths: /open/, /closed/, /invited/, /token/, /broken/.'],
  ];
  for (const development of [true, false]) {
    for (const [target, status, code, remedy] of refused) {
      it(`has a line with what would have to change: ${target}, development ${development}`, async () => {
        const { url, host, told } = await listen({ development });
        expect(await refusalOf(url + target)).to.include({ status });
        const [pathname] = target.split('?');
        expect(told()).to.deep.equal([
          {
            level: 'info',
            message: 'An upgrade was refused.',
            fields: { path: pathname, status, code, origin: undefined, host, remedy },
          },
        ]);
      });
    }
  }

  const origins: readonly [origin: string, allowed: 'same' | readonly string[], remedy: string][] = [
    [
      'http://localhost:5173',
      'same',
      'Add "http://localhost:5173" to settings.origins, which is "same", or let the proxy in between keep the Host header, or list it in settings.trustedProxies if it sends X-Forwarded-Host.',
    ],
    [
      'https://other.org',
      ['https://example.org'],
      'Add "https://other.org" to settings.origins, which is ["https://example.org"].',
    ],
    ['null', 'same', 'Only "any" would do for settings.origins, which is "same".'],
  ];
  for (const [origin, allowed, remedy] of origins) {
    it(`names the page that it comes from, and the setting: ${origin} where ${JSON.stringify(allowed)} may connect`, async () => {
      const { url, host, told } = await listen({ origins: allowed });
      expect(await refusalOf(`${url}/open/`, { headers: { origin } })).to.include({ status: 403 });
      expect(told().map(({ fields }) => fields)).to.deep.equal([
        { path: '/open/', status: 403, code: 'permission_denied', origin, host, remedy },
      ]);
    });
  }

  it('has a line where the request is no handshake of a WebSocket', async () => {
    const { port, told } = await listen();
    using client = await RawClient.open(port);
    client.write(upgradeRequest('/open/', { 'Sec-WebSocket-Version': '7' }));
    await client.hear('\r\n\r\n');
    expect(told().map(({ fields }) => [fields['status'], fields['remedy']])).to.deep.equal([
      [400, 'See the parameters of the route, and whether the client speaks WebSocket.'],
    ]);
  });

  it('is a warning where the server failed, beside the error with its stack', async () => {
    const { url, logger } = await listen();
    expect(await refusalOf(`${url}/broken/`)).to.include({ status: 500 });
    expect(logger.entries.slice(1).map(({ level, message }) => [level, message])).to.deep.equal([
      ['error', 'An action failed.'],
      ['warn', 'An upgrade was refused.'],
    ]);
  });

  const limited: readonly [name: string, limits: NonNullable<GivenSettings['limits']>, remedy: string][] = [
    ['connectionsPerAddress', { connectionsPerAddress: 1 }, 'Raise settings.limits.connectionsPerAddress.'],
    ['connections', { connections: 1 }, 'Raise settings.limits.connections.'],
    [
      'addressHandshakeBurst',
      { addressHandshakeBurst: 1, addressHandshakesPerSecond: 1 },
      'Raise settings.limits.addressHandshakesPerSecond or addressHandshakeBurst.',
    ],
    ['handshakesPerSecond', { handshakesPerSecond: 1 }, 'Raise settings.limits.handshakesPerSecond.'],
  ];
  for (const [name, limits, remedy] of limited) {
    it(`names the limit that it met: ${name}`, async () => {
      const { url, told } = await listen({ limits });
      await using _ = await SocketClient.open(`${url}/open/`);
      await refusalOf(`${url}/open/`);
      expect(told().map(({ fields }) => fields['remedy'])).to.deep.equal([remedy]);
    });
  }

  it('has no more than one line a second where a limit is met, for a flood of them would be one of lines', async () => {
    const { url, told, clock } = await listen({ limits: { connectionsPerAddress: 1 } });
    await using _ = await SocketClient.open(`${url}/open/`);
    for (let each = 0; each < 3; each += 1) await refusalOf(`${url}/open/`);
    expect(told()).to.have.lengthOf(1);
    clock.stand(1_000);
    await refusalOf(`${url}/open/`);
    expect(told()).to.have.lengthOf(2);
  });
});
