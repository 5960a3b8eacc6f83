import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { bearerToken, ConfigurationError, path } from 'signalbox';
import { type JsonWebTokenOptions, jsonWebTokens } from 'signalbox/json-web-tokens';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { useServer } from '../support/serving.js';
import { WhoConsumer } from './authentication-support.js';

const issuer = 'https://issuer.example';
const audience = 'chat';
/** The clock of the specs stands at the first of January 2026. */
const now = Date.parse('2026-01-01T00:00:00Z') / 1000;
const good: JWTPayload = { sub: '7', sid: 's7', iss: issuer, aud: audience, exp: now + 60 };
const secret = new TextEncoder().encode('a secret of at least 32 bytes, all of them random');

describe('JSON Web Tokens', () => {
  const serve = useServer();
  let keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
  let others: typeof keys;
  let logger: MemoryLogger;

  before(async () => {
    keys = await generateKeyPair('ES256');
    others = await generateKeyPair('ES256');
  });

  function sign(
    claims: JWTPayload,
    key: CryptoKey | Uint8Array = keys.privateKey,
    header: object = {},
  ): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
  }

  async function ask(token: string, options: Partial<JsonWebTokenOptions> = {}): Promise<unknown> {
    const { keys: set, key = set ? undefined : keys.publicKey, ...rest } = options;
    const one = set ? { keys: set } : { key: key as CryptoKey };
    const ApiTokens = jsonWebTokens({ algorithms: ['ES256'], issuer, audience, ...one, ...rest });
    const served = serve([path('/ws/', WhoConsumer, { middleware: [bearerToken(ApiTokens)] })]);
    logger = served.logger;
    try {
      await using ann = await connect(served.app, '/ws/', { headers: { authorization: `Bearer ${token}` } });
      const { data } = await ann.request('who');
      return (data as { readonly identity: unknown }).identity;
    } catch (error) {
      return error;
    }
  }

  it('say whose connection it is, and until when', async () => {
    expect(await ask(await sign(good))).to.deep.equal({
      userId: '7',
      sessionId: 's7',
      expiresAt: '2026-01-01T00:01:00.000Z',
    });
    const { sid: _, ...rest } = good;
    expect(await ask(await sign(rest))).to.deep.equal({ userId: '7', expiresAt: '2026-01-01T00:01:00.000Z' });
  });

  it('may be identified by other claims, and refused for them', async () => {
    const identify = ({ email, exp = 0 }: JWTPayload) =>
      typeof email === 'string' ? { userId: email, expiresAt: new Date((exp - 30) * 1000) } : undefined;
    expect(await ask(await sign({ ...good, email: 'ann@example.org' }), { identify })).to.deep.equal({
      userId: 'ann@example.org',
      expiresAt: '2026-01-01T00:00:30.000Z',
    });
    expect(await ask(await sign(good), { identify })).to.include({ status: 401 });
  });

  it('are good for any of several issuers and audiences that are named', async () => {
    const options = { issuer: ['https://other.example', issuer], audience: ['other', audience] };
    expect(await ask(await sign({ ...good, aud: ['x', 'other'] }), options)).to.include({ userId: '7' });
  });

  it('are good by as much as the clocks may differ, and no longer', async () => {
    const clockTolerance = 5_000;
    expect(await ask(await sign({ ...good, exp: now - 4 }), { clockTolerance })).to.deep.include({
      expiresAt: '2026-01-01T00:00:01.000Z',
    });
    expect(await ask(await sign({ ...good, nbf: now + 5 }), { clockTolerance })).to.include({ userId: '7' });
    expect(await ask(await sign({ ...good, exp: now - 5 }), { clockTolerance })).to.include({ status: 401 });
    expect(await ask(await sign({ ...good, nbf: now + 6 }), { clockTolerance })).to.include({ status: 401 });
  });

  const without = (claim: string): JWTPayload =>
    Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim));
  const unsigned = (header: object): string =>
    [header, good]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
      .concat('.');
  const refused: readonly [string, () => string | Promise<string>, object][] = [
    ['are not signed', () => unsigned({ alg: 'none' }), { reason: 'ERR_JOSE_ALG_NOT_ALLOWED' }],
    ['are not signed, in another case', () => unsigned({ alg: 'nOnE' }), { reason: 'ERR_JOSE_ALG_NOT_ALLOWED' }],
    [
      'are signed with another key',
      () => sign(good, others.privateKey),
      { reason: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' },
    ],
    [
      'are signed by an algorithm that is not listed',
      () => sign(good, secret, { alg: 'HS256' }),
      { reason: 'ERR_JOSE_ALG_NOT_ALLOWED' },
    ],
    ['have no algorithm', () => unsigned({}), { reason: 'ERR_JWS_INVALID' }],
    [
      'are for another audience',
      () => sign({ ...good, aud: 'shop' }),
      { reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'aud' },
    ],
    [
      'are for nobody in particular',
      () => sign(without('aud')),
      { reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'aud' },
    ],
    [
      'are of another issuer',
      () => sign({ ...good, iss: 'https://evil.example' }),
      { reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'iss' },
    ],
    ['have expired', () => sign({ ...good, exp: now }), { reason: 'ERR_JWT_EXPIRED' }],
    [
      'are not valid yet',
      () => sign({ ...good, nbf: now + 1 }),
      { reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'nbf' },
    ],
    ['never expire', () => sign(without('exp')), { reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'exp' }],
    ['are no token', () => 'abc', { reason: 'ERR_JWS_INVALID' }],
    [
      'are half a token',
      async () => (await sign(good)).slice(0, -10),
      { reason: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' },
    ],
    [
      'are critical of what nobody knows',
      () => unsigned({ alg: 'ES256', crit: ['x'], x: 1 }),
      { reason: 'ERR_JOSE_NOT_SUPPORTED' },
    ],
  ];
  for (const [name, make, entry] of refused) {
    it(`are refused with one sentence that tells nothing where they ${name}; the log knows why`, async () => {
      expect(await ask(await make())).to.include({ status: 401, message: 'The token is not valid.' });
      expect(logger.entries).to.deep.equal([{ level: 'debug', message: 'A token was refused.', fields: entry }]);
    });
  }

  for (const sub of [undefined, '', 7, { id: 7 }, null] as const) {
    it(`are refused where the subject is ${JSON.stringify(sub)}`, async () => {
      const claims = sub === undefined ? without('sub') : { ...good, sub };
      expect(await ask(await sign(claims as JWTPayload))).to.include({
        status: 401,
        message: 'The token is not valid.',
      });
      expect(logger.entries).to.deep.equal([
        { level: 'debug', message: 'A token was refused.', fields: { reason: 'its claims identify no user' } },
      ]);
    });
  }

  it('may be signed with a secret', async () => {
    const options = { algorithms: ['HS256'], key: secret };
    expect(await ask(await sign(good, secret, { alg: 'HS256' }), options)).to.include({ userId: '7' });
  });

  it('may be signed with a secret in any form', async () => {
    const jwk = { kty: 'oct', k: Buffer.from(secret).toString('base64url') };
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const cryptoKey = await crypto.subtle.importKey('raw', secret, hmac, false, ['verify']);
    const token = await sign(good, secret, { alg: 'HS256' });
    for (const key of [createSecretKey(secret), jwk, cryptoKey])
      expect(await ask(token, { algorithms: ['HS256'], key })).to.include({ userId: '7' });
  });

  it('may be signed with a key of a set, which the token names', async () => {
    const set = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'a', alg: 'ES256' }] };
    expect(await ask(await sign(good, keys.privateKey, { kid: 'a' }), { keys: set })).to.include({ userId: '7' });
    expect(await ask(await sign(good, keys.privateKey, { kid: 'b' }), { keys: set })).to.include({ status: 401 });
    expect(await ask(await sign(good, others.privateKey, { kid: 'a' }), { keys: set })).to.include({ status: 401 });
  });

  it('may be signed with a key of a set that is fetched; where it cannot be, it is the server that fails', async () => {
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'a', alg: 'ES256' };
    let isUp = true;
    const server = createServer((_request, response) => {
      response.statusCode = isUp ? 200 : 503;
      response.end(JSON.stringify({ keys: [jwk] }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`);
    const token = await sign(good, keys.privateKey, { kid: 'a' });
    expect(await ask(token, { keys: url })).to.include({ userId: '7' });
    isUp = false;
    expect(await ask(token, { keys: url })).to.include({ status: 500 });
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const sound = { algorithms: ['HS256'], issuer, audience, key: secret };
  const faults: readonly [object, string][] = [
    [{ algorithms: [] }, "jsonWebTokens.algorithms: are empty. Name those of the issuer: ['RS256']."],
    [{ algorithms: ['HS256', 'none'] }, 'jsonWebTokens.algorithms: have "none", which anybody can sign. Leave it out.'],
    [{ issuer: '' }, 'jsonWebTokens.issuer: is empty. Name who issues the tokens.'],
    [{ issuer: [] }, 'jsonWebTokens.issuer: is empty. Name who issues the tokens.'],
    [
      { audience: [] },
      'jsonWebTokens.audience: is empty, so that tokens for anybody would do. Name this application as the issuer does.',
    ],
    [{ key: undefined }, 'jsonWebTokens.key: is not there, and keys are not either. Give one of them.'],
    [{ keys: new URL('/jwks', issuer) }, 'jsonWebTokens.key: is there, and keys are too. Give one of them.'],
    [
      { key: new Uint8Array(31) },
      'jsonWebTokens.key: is a secret of 31 bytes, which can be guessed. Give at least 32 random bytes.',
    ],
    [
      { key: createSecretKey(Buffer.alloc(31)) },
      'jsonWebTokens.key: is a secret of 31 bytes, which can be guessed. Give at least 32 random bytes.',
    ],
    [
      { key: { kty: 'oct', k: Buffer.alloc(5).toString('base64url') } },
      'jsonWebTokens.key: is a secret of 5 bytes, which can be guessed. Give at least 32 random bytes.',
    ],
    [
      { algorithms: ['RS256', 'HS256'] },
      'jsonWebTokens.algorithms: are of several kinds, RS256 and HS256, for one key. Give keys, a set.',
    ],
    [
      { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey },
      'jsonWebTokens.key: is a public key, and HS256 take a secret. Give a secret.',
    ],
    [
      { algorithms: ['RS256', 'PS256'] },
      'jsonWebTokens.key: is a secret, and RS256 and PS256 take a public key. Give a public key.',
    ],
    [{ clockTolerance: -1 }, 'jsonWebTokens.clockTolerance: is -1. Give a whole number of milliseconds.'],
  ];
  for (const [wrong, text] of faults) {
    it(`refuse options: ${text}`, () => {
      expect(() => jsonWebTokens({ ...sound, ...wrong }))
        .to.throw(ConfigurationError)
        .with.property('message', text);
    });
  }
});
