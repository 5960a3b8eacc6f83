import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { ActionNotFound, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Settings } from '../settings.js';
import { CloseCode } from '../status.js';
import { TokenBucket } from './token-bucket.js';

export interface MessageLimitParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly counters: Counters;
}

/** How a connection is closed that breaks a limit again and again. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const throttledTooOften: Closing = { code: CloseCode.overloaded, reason: 'Too many messages.' };
const mistakenTooOften: Closing = { code: CloseCode.policy, reason: 'Too many errors.' };

/** What only a client sends that is broken, or looks for a weakness. */
const mistakes: ReadonlySet<string> = new Set([ParseError.code, ActionNotFound.code, StreamNotFound.code]);

/**
 * How much one connection may send. What is above its rate is refused and has no effect; a connection that does not heed
 * it, or sends mistake upon mistake, is to be closed.
 */
export class MessageLimits {
  readonly #parts: MessageLimitParts;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  /** Made at the first frame that is answered so: most clients make no mistakes. */
  #throttled: TokenBucket | undefined;
  #errors: TokenBucket | undefined;

  constructor(parts: MessageLimitParts) {
    const { maxPayload, limits } = parts.settings;
    const now = parts.clock.elapsed();
    this.#parts = parts;
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
    const now = this.#parts.clock.elapsed();
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
  closing(code: string | undefined): Closing | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.#parts.settings.limits;
    if (code === Throttled.code) {
      this.#throttled ??= this.#perMinute(throttledPerMinute);
      return this.#overflow('throttled', this.#throttled, throttledTooOften);
    }
    if (code !== undefined && mistakes.has(code)) {
      this.#errors ??= this.#perMinute(errorsPerMinute);
      return this.#overflow('errors', this.#errors, mistakenTooOften);
    }
    return undefined;
  }

  #perMinute(count: number): TokenBucket {
    return new TokenBucket(count / 60, count, this.#parts.clock.elapsed());
  }

  #refuse(limit: string, text: string, retryAfter: number): Throttled {
    this.#parts.counters.increment('signalbox.limits_reached', { limit });
    return new Throttled(text, { retryAfter });
  }

  #overflow(limit: string, bucket: TokenBucket, closing: Closing): Closing | undefined {
    if (bucket.take(1, this.#parts.clock.elapsed()) === 0) return undefined;
    this.#parts.counters.increment('signalbox.limits_reached', { limit });
    return closing;
  }
}
