import type { Clock } from './clock.js';
import { shown } from './configuration-faults.js';
import { ConfigurationError, Throttled } from './errors.js';

/**
 * Options of `new Throttle(clock, options)`. `burst`, `every` and `keys` are whole numbers above 0 (ConfigurationError otherwise).
 */
export interface ThrottleOptions {
  /** Attempts of one key at once, after a quiet time. Default: 10. */
  readonly burst?: number;
  /** Milliseconds after which one more attempt is allowed. Default: 60 000. */
  readonly every?: number;
  /** The number of remembered keys; one more forgets the key that was used longest ago. Default: 10 000. */
  readonly keys?: number;
  /** The error's sentence, which the waiting time follows. Default: `Too many attempts.` */
  readonly text?: string;
}

/**
 * Limits how often something may be tried, by any key: a user name, an address, a telephone number. It counts within this process.
 *
 * ```ts
 * const logIns = new Throttle(clock, { burst: 10, every: 60_000 });
 * logIns.take(username);                    // "Too many attempts. Try again in 42 seconds."
 * if (isRight) logIns.forget(username);
 * ```
 */
export class Throttle {
  readonly #burst: number;
  readonly #every: number;
  readonly #keys: number;
  readonly #text: string;
  /** When all attempts of a key are available again, by `Clock.elapsed`. The key that was used longest ago comes first. */
  readonly #freeAt = new Map<string, number>();

  /** @throws ConfigurationError for an option that is no whole number above 0 */
  constructor(
    private readonly clock: Clock,
    { burst = 10, every = 60_000, keys = 10_000, text = 'Too many attempts.' }: ThrottleOptions = {},
  ) {
    for (const [name, value] of Object.entries({ burst, every, keys })) checkCount(name, value);
    this.#burst = burst;
    this.#every = every;
    this.#keys = keys;
    this.#text = text;
  }

  /**
   * Counts an attempt, before its outcome is known: of simultaneous attempts at most `burst` pass.
   *
   * @throws Throttled
   */
  take(key: string): void {
    const now = this.clock.elapsed();
    const freeAt = Math.max(now, this.#freeAt.get(key) ?? now) + this.#every;
    const wait = freeAt - now - this.#burst * this.#every;
    if (wait > 0)
      throw new Throttled(`${this.#text} Try again in ${durationText(wait)}.`, { retryAfter: Math.ceil(wait) });
    this.#remember(key, freeAt);
  }

  /** Takes back one attempt that should not count. */
  giveBack(key: string): void {
    const freeAt = this.#freeAt.get(key);
    if (freeAt !== undefined) this.#remember(key, freeAt - this.#every);
  }

  /** Allows all attempts of the key again. */
  forget(key: string): void {
    this.#freeAt.delete(key);
  }

  #remember(key: string, freeAt: number): void {
    this.#freeAt.delete(key);
    this.#freeAt.set(key, freeAt);
    if (this.#freeAt.size <= this.#keys) return;
    const [oldest] = this.#freeAt.keys();
    if (oldest !== undefined) this.#freeAt.delete(oldest);
  }
}

/** The waiting time as text, rounded up. */
function durationText(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1_000);
  if (seconds === 1) return '1 second';
  return seconds <= 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
}

function checkCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new ConfigurationError({
    class: 'Throttle',
    member: name,
    reason: `is ${shown(value)}.`,
    remedy: 'Give a whole number from 1.',
  });
}
