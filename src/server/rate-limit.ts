import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { ActionNotFound, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Settings } from '../settings.js';
import { CloseCode } from '../status.js';

/** A rate per second, and a burst after a quiet time. */
export class TokenBucket {
  /** In how many milliseconds one token comes back, and all of them. */
  readonly #each: number;
  readonly #all: number;
  /** In how many milliseconds the bucket is full again. */
  #debt = 0;
  #at: number;

  /** @param now in milliseconds */
  constructor(perSecond: number, burst: number, now: number) {
    this.#each = 1_000 / perSecond;
    this.#all = this.#each * burst;
    this.#at = now;
  }

  /** Takes so many tokens, or none. @returns 0, or in how many milliseconds they will be there */
  take(count: number, now: number): number {
    this.#refill(now);
    const debt = this.#debt + count * this.#each;
    if (debt > this.#all) return Math.ceil(debt - this.#all);
    this.#debt = debt;
    return 0;
  }

  /** Whether nothing is remembered of what was taken. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#debt === 0;
  }

  /** A clock that was set back gives nothing, and takes nothing. */
  #refill(now: number): void {
    this.#debt = Math.max(0, this.#debt - Math.max(0, now - this.#at));
    this.#at = now;
  }
}

/** How a connection is closed that exceeds a limit again and again. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const throttledTooOften: Closing = { code: CloseCode.overloaded, reason: 'Too many messages.' };
const mistakenTooOften: Closing = { code: CloseCode.policy, reason: 'Too many errors.' };

/** Errors of a client that is broken, or looks for a weakness. */
const mistakes: ReadonlySet<string> = new Set([ParseError.code, ActionNotFound.code, StreamNotFound.code]);

/**
 * How much one connection may send. A frame above the rate is refused and has no effect; a connection that goes on, or sends
 * mistake upon mistake, is to be closed.
 */
export class MessageRates {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  /** Made at the first frame that is answered so: most clients make no mistakes. */
  #throttled: TokenBucket | undefined;
  #errors: TokenBucket | undefined;

  constructor(
    private readonly settings: Pick<Settings, 'maxPayload' | 'limits'>,
    private readonly clock: Clock,
    private readonly counters: Counters,
  ) {
    const { maxPayload, limits } = settings;
    const now = clock.elapsed();
    this.#messages = new TokenBucket(limits.messagesPerSecond, limits.messageBurst, now);
    // The largest frame that is accepted has to pass at some time.
    this.#bytes = new TokenBucket(limits.bytesPerSecond, Math.max(limits.bytesPerSecond, maxPayload), now);
  }

  /**
   * A frame of the client.
   *
   * @param user what all connections of its user may send
   * @returns how it is refused, if it is
   */
  refusal(bytes: number, user: TokenBucket | undefined): Throttled | undefined {
    const now = this.clock.elapsed();
    const tooMany = this.#messages.take(1, now);
    if (tooMany > 0) return this.#refuse('messages', 'Too many messages.', tooMany);
    const tooMuch = this.#bytes.take(bytes, now);
    if (tooMuch > 0) return this.#refuse('bytes', 'Too many bytes.', tooMuch);
    const tooManyOfUser = user?.take(1, now) ?? 0;
    return tooManyOfUser > 0
      ? this.#refuse('user_messages', 'Too many messages of one user.', tooManyOfUser)
      : undefined;
  }

  /** An error was answered, or would have been. @returns how the connection is to be closed, if it is */
  closing(code: string): Closing | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.settings.limits;
    if (code === Throttled.code) {
      this.#throttled ??= this.#perMinute(throttledPerMinute);
      return this.#overflow('throttled', this.#throttled, throttledTooOften);
    }
    if (mistakes.has(code)) {
      this.#errors ??= this.#perMinute(errorsPerMinute);
      return this.#overflow('errors', this.#errors, mistakenTooOften);
    }
    return undefined;
  }

  #perMinute(count: number): TokenBucket {
    return new TokenBucket(count / 60, count, this.clock.elapsed());
  }

  #refuse(limit: string, text: string, retryAfter: number): Throttled {
    this.counters.increment('signalbox.limits_reached', { limit });
    return new Throttled(text, { retryAfter });
  }

  #overflow(limit: string, bucket: TokenBucket, closing: Closing): Closing | undefined {
    if (bucket.take(1, this.clock.elapsed()) === 0) return undefined;
    this.counters.increment('signalbox.limits_reached', { limit });
    return closing;
  }
}
