import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { ActionNotFound, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Settings } from '../settings.js';
import { TokenBucket } from './token-bucket.js';

export interface MessageLimitParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly counters: Counters;
}

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

  /** A frame of the client. @returns how it is refused, if it is */
  refusal(bytes: number): Throttled | undefined {
    const now = this.#parts.clock.elapsed();
    const tooMany = this.#messages.take(1, now);
    if (tooMany > 0) return this.#refuse('messages', 'Too many messages.', tooMany);
    const tooMuch = this.#bytes.take(bytes, now);
    return tooMuch > 0 ? this.#refuse('bytes', 'Too many bytes.', tooMuch) : undefined;
  }

  /** An error was answered, or would have been. @returns why the connection is to be closed, if it is */
  reasonToClose(code: string | undefined): string | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.#parts.settings.limits;
    if (code === Throttled.code) {
      this.#throttled ??= this.#perMinute(throttledPerMinute);
      return this.#overflow('throttled', this.#throttled, 'Too many messages.');
    }
    if (code !== undefined && mistakes.has(code)) {
      this.#errors ??= this.#perMinute(errorsPerMinute);
      return this.#overflow('errors', this.#errors, 'Too many errors.');
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

  #overflow(limit: string, bucket: TokenBucket, reason: string): string | undefined {
    if (bucket.take(1, this.#parts.clock.elapsed()) === 0) return undefined;
    this.#parts.counters.increment('signalbox.limits_reached', { limit });
    return reason;
  }
}
