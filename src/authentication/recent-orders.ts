import type { Clock } from '../clock.js';
import type { Identity } from '../scope/identity.js';
import { concerns, type Order } from './orders.js';

interface Kept {
  readonly order: Order;
  readonly at: number;
}

/** Who was disconnected lately: what proved somebody's identity before that, such as a ticket, proves it no more. */
export class RecentOrders {
  readonly #clock: Clock;
  readonly #lifetime: number;
  /** The oldest first. */
  #kept: Kept[] = [];

  /** @param lifetime for how many milliseconds an order is remembered */
  constructor(clock: Clock, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  note(order: Order): void {
    if (order.kind !== 'disconnect') return;
    const now = this.#clock.now().getTime();
    const firstKept = this.#kept.findIndex(({ at }) => at + this.#lifetime >= now);
    this.#kept.splice(0, firstKept === -1 ? this.#kept.length : firstKept);
    this.#kept.push({ order, at: now });
  }

  /** Whether this user or session was disconnected after a moment. */
  concernSince(moment: Date, identity: Identity): boolean {
    return this.#kept.some(({ order, at }) => at > moment.getTime() && concerns(order, identity));
  }
}
