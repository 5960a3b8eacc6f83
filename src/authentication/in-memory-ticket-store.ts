import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../logger.js';
import type { StoredTicket, TicketStore } from './ticket-store.js';

/** How often expired tickets are removed, in milliseconds. */
const sweepInterval = 10_000;

/** The tickets of one process. */
export class InMemoryTicketStore implements TicketStore {
  readonly #tickets = new Map<string, StoredTicket>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #capacity: number;
  #sweep: Timer | undefined;
  #wasFull = false;

  /** @param capacity how many may wait; beyond it the oldest goes. Default 100 000 */
  constructor(clock: Clock, logger: Logger, capacity = 100_000) {
    this.#clock = clock;
    this.#logger = logger;
    this.#capacity = capacity;
  }

  /** How many wait. */
  get size(): number {
    return this.#tickets.size;
  }

  async add(key: string, ticket: StoredTicket): Promise<void> {
    this.#tickets.set(key, ticket);
    this.#dropOldest();
    this.#sweep ??= this.#clock.after(sweepInterval, () => this.#sweepOut());
  }

  async take(key: string): Promise<StoredTicket | undefined> {
    const ticket = this.#tickets.get(key);
    this.#tickets.delete(key);
    return ticket && ticket.endsAt > this.#clock.now() ? ticket : undefined;
  }

  /** The oldest has had the most time to be used: a flood has to be as quick as an honest client to do harm. */
  #dropOldest(): void {
    if (this.#tickets.size <= this.#capacity) return;
    const [oldest = ''] = this.#tickets.keys();
    this.#tickets.delete(oldest);
    if (!this.#wasFull)
      this.#logger.warn('There are too many tickets; the oldest are dropped.', { capacity: this.#capacity });
    this.#wasFull = true;
  }

  #sweepOut(): void {
    const now = this.#clock.now();
    for (const [key, { endsAt }] of this.#tickets) if (endsAt <= now) this.#tickets.delete(key);
    this.#wasFull = false;
    this.#sweep = this.#tickets.size === 0 ? undefined : this.#clock.after(sweepInterval, () => this.#sweepOut());
  }
}
