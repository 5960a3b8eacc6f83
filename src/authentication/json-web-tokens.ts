import { KeyObject } from 'node:crypto';
import type { CryptoKey as AnyCryptoKey, JWK } from 'jose';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import { faultsOf, shown } from '../configuration-faults.js';
import { Logger } from '../logger.js';
import type { ConcreteClass } from '../metadata.js';
import type { Authentication, TokenVerifier } from './authentication.js';

const fault = faultsOf('jsonWebTokens');

/**
 * Options of `jsonWebTokens`: `algorithms`, `issuer` and `audience` are required, and exactly one of `key` and `keys`
 * (ConfigurationError otherwise).
 */
export interface JsonWebTokenOptions {
  /** The accepted algorithms, such as `['RS256']`. The algorithm that a token names has to be among them. */
  readonly algorithms: readonly string[];
  /** The claim `iss` of a token has to be this text, or one of these. An empty text is a ConfigurationError. */
  readonly issuer: string | readonly string[];
  /**
   * The claim `aud` of a token has to name this text, or one of these: the issuer's name for this application. An empty text is a
   * ConfigurationError.
   */
  readonly audience: string | readonly string[];
  /** A public key, or a secret of at least 32 bytes. */
  readonly key?: AnyCryptoKey | KeyObject | JWK | Uint8Array;
  /** Instead of `key`: a JSON Web Key Set, or its URL. A set from a URL is cached, and fetched again if a key is unknown. */
  readonly keys?: JSONWebKeySet | URL;
  /** Tolerated difference of the issuer's clock, in milliseconds. Default: 0. */
  readonly clockTolerance?: number;
  /** Turns claims into what they prove; undefined refuses the token. Default: `sub` is the user, `sid` the session. */
  readonly identify?: (claims: JWTPayload) => Authentication | undefined;
}

/** Errors that are the token's fault, answered with 401. Any other error is a fault of this server or of the issuer. */
const refusals: ReadonlySet<string> = new Set([
  errors.JOSEAlgNotAllowed.code,
  errors.JOSENotSupported.code,
  errors.JWKSMultipleMatchingKeys.code,
  errors.JWKSNoMatchingKey.code,
  errors.JWSInvalid.code,
  errors.JWSSignatureVerificationFailed.code,
  errors.JWTClaimValidationFailed.code,
  errors.JWTExpired.code,
  errors.JWTInvalid.code,
]);

/**
 * Makes a verifier of JSON Web Tokens for `bearerToken` and `subprotocolToken`. Every token needs `exp`, at which the identity expires, and
 * the claims that `identify` needs. The log has the reason of a refusal, at level debug; the client gets 401 without a reason.
 *
 * ```ts
 * const ApiTokens = jsonWebTokens({ algorithms: ['RS256'], issuer, audience: 'chat', keys: new URL('/jwks.json', issuer) });
 * path('/ws/', RoomConsumer, { middleware: [bearerToken(ApiTokens)] })
 * ```
 *
 * @throws ConfigurationError for options that would accept any token, or none
 */
export function jsonWebTokens(options: JsonWebTokenOptions): ConcreteClass<TokenVerifier> {
  checkOptions(options);
  const { algorithms, issuer, audience, clockTolerance = 0, identify = identityIn } = options;
  const keyOf = keySource(options);

  @injectable()
  class JsonWebTokens implements TokenVerifier {
    constructor(
      private readonly clock: Clock,
      private readonly logger: Logger,
    ) {}

    async verify(token: string): Promise<Authentication | undefined> {
      const claims = await this.claimsOf(token);
      const proven = claims && identify(claims);
      if (claims && !proven) this.logger.debug('A token was refused.', { reason: 'its claims identify no user' });
      return proven && { ...proven, expiresAt: proven.expiresAt ?? endOf(claims, clockTolerance) };
    }

    private async claimsOf(token: string): Promise<JWTPayload | undefined> {
      try {
        const { payload } = await jwtVerify(token, keyOf, {
          algorithms: [...algorithms],
          issuer: [issuer].flat(),
          audience: [audience].flat(),
          clockTolerance: clockTolerance / 1000,
          currentDate: this.clock.now(),
          requiredClaims: ['exp'],
        });
        return payload;
      } catch (error) {
        if (!(error instanceof errors.JOSEError) || !refusals.has(error.code)) throw error;
        const claim = error instanceof errors.JWTClaimValidationFailed ? error.claim : undefined;
        this.logger.debug('A token was refused.', { reason: error.code, ...(claim !== undefined && { claim }) });
        return undefined;
      }
    }
  }
  return JsonWebTokens;
}

function identityIn({ sub, sid }: JWTPayload): Authentication | undefined {
  if (typeof sub !== 'string' || sub === '') return undefined;
  return { userId: sub, ...(typeof sid === 'string' && { sessionId: sid }) };
}

/** The moment after which the token would be refused. */
function endOf({ exp = 0 }: JWTPayload, clockTolerance: number): Date {
  return new Date(exp * 1000 + clockTolerance);
}

function keySource({ key, keys }: JsonWebTokenOptions): JWTVerifyGetKey {
  if (keys instanceof URL) return createRemoteJWKSet(keys);
  if (keys) return createLocalJWKSet(keys);
  if (!key) throw fault('key', 'is not there.', 'Give a key, or keys.');
  return async () => key;
}

/** @throws ConfigurationError */
function checkOptions({ algorithms, issuer, audience, key, keys, clockTolerance = 0 }: JsonWebTokenOptions): void {
  if (algorithms.length === 0) throw fault('algorithms', 'are empty.', "Name those of the issuer: ['RS256'].");
  if (algorithms.includes('none'))
    throw fault('algorithms', 'contain "none", with which anyone can forge a token.', 'Leave it out.');
  if ([issuer].flat().length === 0 || [issuer].flat().includes(''))
    throw fault('issuer', 'is empty.', 'Name the issuer of the tokens.');
  if ([audience].flat().length === 0 || [audience].flat().includes(''))
    throw fault(
      'audience',
      'is empty, so tokens for any application would be accepted.',
      'Give the name that the issuer uses for this application.',
    );
  if ((key === undefined) === (keys === undefined))
    throw fault('key', key ? 'is given together with keys.' : 'is missing, and so are keys.', 'Give one of them.');
  if (key) checkKey(key, algorithms);
  if (!Number.isSafeInteger(clockTolerance) || clockTolerance < 0)
    throw fault('clockTolerance', `is ${shown(clockTolerance)}.`, 'Give a whole number of milliseconds.');
}

/** Refuses a key for algorithms of two kinds: it would fail at tokens of one kind, which any client could make. */
function checkKey(key: NonNullable<JsonWebTokenOptions['key']>, algorithms: readonly string[]): void {
  const length = secretLengthOf(key);
  if (length !== undefined && length < 32)
    throw fault('key', `is a secret of ${length} bytes, which can be guessed.`, 'Give at least 32 random bytes.');
  const kinds = new Set(algorithms.map((algorithm) => algorithm.slice(0, 2).replace('PS', 'RS')));
  if (kinds.size > 1)
    throw fault('algorithms', `are of several kinds, ${algorithms.join(' and ')}, for one key.`, 'Give keys, a set.');
  if (kinds.has('HS') === (length !== undefined)) return;
  const [needed, given] = kinds.has('HS') ? ['a secret', 'public key'] : ['a public key', 'secret'];
  throw fault('key', `is a ${given}, but ${algorithms.join(' and ')} need ${needed}.`, `Give ${needed}.`);
}

/** The length of a secret in bytes; undefined for another kind of key. */
function secretLengthOf(key: NonNullable<JsonWebTokenOptions['key']>): number | undefined {
  if (key instanceof Uint8Array) return key.length;
  if (key instanceof CryptoKey) return 'length' in key.algorithm ? Number(key.algorithm.length) / 8 : undefined;
  if (key instanceof KeyObject) return key.type === 'secret' ? key.symmetricKeySize : undefined;
  return key.kty === 'oct' ? Buffer.from(key.k ?? '', 'base64url').length : undefined;
}
