const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;

/** Waits longer after every failure, and never exactly as long as another page does. */
export class Backoff {
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly retry: () => void) {}

  get isWaiting(): boolean {
    return this.timer !== undefined;
  }

  later(): void {
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures++);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), delay * (0.5 + Math.random() / 2));
  }

  now(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.retry();
  }

  reset(): void {
    this.failures = 0;
  }
}
