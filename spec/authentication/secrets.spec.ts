import { inspect } from 'node:util';
import { expect } from 'chai';
import {
  bearerToken,
  cookieSession,
  path,
  queryTicket,
  type Scope,
  type ScopeMiddleware,
  subprotocolToken,
  Tickets,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';
import { ApiTokens, WhoConsumer } from './authentication-support.js';

const secret = 'ann.0123456789abcdef';

/** Fails as databases do: with the values of the query in its message. */
class LeakyTokens extends ApiTokens {
  override async verify(token: string): Promise<never> {
    const cause = new Error(`near "${token}"`);
    throw new TypeError(`select * from tokens where token = '${token}' - connection lost`, { cause });
  }

  find(token: string): Promise<never> {
    return this.verify(token);
  }
}

class GoodTokens extends ApiTokens {
  override async verify() {
    return { userId: '1' };
  }

  find() {
    return this.verify();
  }
}

class NoTokens extends ApiTokens {
  override async verify() {
    return undefined;
  }

  find() {
    return this.verify();
  }
}

/** Throws what is no error at all. */
class Thrower implements ScopeMiddleware {
  apply({ headers }: Scope): void {
    throw { headers };
  }
}

const ways: readonly [string, { readonly url?: string; readonly headers: Record<string, string> }][] = [
  ['a bearer token', { headers: { authorization: `Bearer ${secret}` } }],
  ['a token among the subprotocols', { headers: { 'sec-websocket-protocol': `signalbox, bearer.${secret}` } }],
  ['a session cookie', { headers: { cookie: `session=${secret}`, origin: 'http://a', host: 'a' } }],
  ['a ticket', { url: `/ws/?ticket=${secret}`, headers: {} }],
];

describe('What a client proves itself with', () => {
  const serve = useServer();

  for (const [outcome, tokens] of [
    ['accepted', GoodTokens],
    ['refused', NoTokens],
    ['failed', LeakyTokens],
  ] as const) {
    for (const [name, { url = '/ws/', headers }] of ways) {
      it(`reaches no log: ${name} in a handshake that is ${outcome}`, async () => {
        const { container, logger, clock } = testProviders();
        container.registerInstance(Tickets, new Tickets(new TicketsOf(tokens), clock, 30_000));
        const middleware = [bearerToken(tokens), subprotocolToken(tokens), queryTicket(), cookieSession(tokens)];
        const { app } = serve([path('/ws/', WhoConsumer, { middleware })], { container });
        const status = await connect(app, url, { headers }).then(
          async (ann) => {
            await ann.request('nothing');
            ann.close();
            await ann.ended;
            return 101;
          },
          (error: { readonly status: number }) => error.status,
        );
        const nobody = name === 'a session cookie' ? 101 : 401;
        expect(status).to.equal({ accepted: 101, refused: nobody, failed: 500 }[outcome]);
        expect(inspect(logger.entries, { depth: 20 })).not.to.include(secret);
        expect(logger.at('error')).to.have.lengthOf(outcome === 'failed' ? 1 : 0);
      });
    }
  }

  it('leaves an error readable that had it in its message', async () => {
    const { container, logger } = testProviders();
    const { app } = serve([path('/ws/', WhoConsumer, { middleware: [bearerToken(LeakyTokens)] })], { container });
    await connect(app, '/ws/', { headers: { authorization: `Bearer ${secret}` } }).catch(() => {});
    const [entry] = logger.at('error');
    expect(entry?.fields['error']).to.include({
      name: 'TypeError',
      message: "select * from tokens where token = '[secret]' - connection lost",
    });
  });

  it('reaches no log either where something else than an error is thrown', async () => {
    const { container, logger } = testProviders();
    const { app } = serve([path('/ws/', WhoConsumer, { middleware: [Thrower] })], { container });
    const headers = { authorization: `Basic ${secret}`, cookie: `a=${secret}` };
    await connect(app, '/ws/', { headers }).catch(() => {});
    expect(inspect(logger.entries, { depth: 20 })).not.to.include(secret);
    expect(logger.at('error')).to.have.lengthOf(1);
  });
});

/** A store of tickets that fails, knows or does not know as the tokens do; it has the ticket itself to fail with. */
class TicketsOf {
  readonly #tokens: typeof GoodTokens | typeof NoTokens | typeof LeakyTokens;

  constructor(tokens: typeof GoodTokens | typeof NoTokens | typeof LeakyTokens) {
    this.#tokens = tokens;
  }

  async add(): Promise<void> {}

  async take() {
    const identity = await new this.#tokens().verify(secret);
    return identity && { identity, origin: undefined, endsAt: new Date('2027-01-01') };
  }
}
