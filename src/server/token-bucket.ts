/** So many a second, and so many at once after a quiet time. */
export class TokenBucket {
  /** How many milliseconds bring back one token, and all of them. */
  readonly #each: number;
  readonly #all: number;
  /** How many milliseconds it takes until the bucket is full again. */
  #debt = 0;
  #at: number;

  /** @param now in milliseconds */
  constructor(perSecond: number, burst: number, now: number) {
    this.#each = 1_000 / perSecond;
    this.#all = this.#each * burst;
    this.#at = now;
  }

  /** Takes so many, or none. @returns 0, or in how many milliseconds they will be there */
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
