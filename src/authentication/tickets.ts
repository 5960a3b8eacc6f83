import { createHash, randomBytes } from 'node:crypto';
import { runDetached } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../logger.js';
import { originOf } from '../scope/headers.js';
import type { Identity } from '../scope/scope-types.js';
import type { ConnectionRegistry } from './connection-registry.js';

type Disconnects = Pick<ConnectionRegistry, 'momentOfIssue' | 'wasDisconnectedSince'>;

/** The result of `Tickets.issue`, for the page that will open the socket. */
export interface IssuedTicket {
  /** 43 characters that need no escape in a query. */
  readonly ticket: string;
  /** When the ticket expires: `ticketLifetime` (30 000 ms) after its issue. */
  readonly expiresAt: Date;
}

/**
 * Issues tickets for one upgrade each. A page can put no other credential into the URL of a socket without leaving a lasting one in logs.
 * Inject it where an HTTP route gives tickets to its logged-in user.
 *
 * ```ts
 * server.post('/api/ticket', async (request) => tickets.issue({ userId: String(user.id) }, request.headers.origin));
 * // in the page
 * new WebSocket(`/ws/?ticket=${ticket}`);
 * ```
 */
export class Tickets {
  readonly #store: TicketStore;
  readonly #clock: Clock;
  readonly #lifetime: number;
  readonly #disconnects: Disconnects;

  /**
   * @param lifetime in milliseconds
   * @param disconnects of the tickets' users. Default: none
   */
  constructor(
    store: TicketStore,
    clock: Clock,
    lifetime: number,
    disconnects: Disconnects = {
      momentOfIssue: () => clock.now().getTime(),
      wasDisconnectedSince: () => false,
    },
  ) {
    this.#disconnects = disconnects;
    this.#store = store;
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  /**
   * Issues a ticket.
   *
   * @param origin the Origin header of the request for it; the upgrade has to come with the same header, or without one
   */
  async issue(identity: Identity, origin: string | undefined): Promise<IssuedTicket> {
    const ticket = randomBytes(32).toString('base64url');
    const expiresAt = new Date(this.#disconnects.momentOfIssue(identity) + this.#lifetime);
    await this.#store.add(keyOf(ticket), { identity, origin: comparable(origin), endsAt: expiresAt });
    return { ticket, expiresAt };
  }

  /**
   * The identity that a ticket was issued to; undefined if the ticket is invalid, or if its user was disconnected since. A call uses the
   * ticket up, whatever the result.
   */
  async redeem(ticket: string, origin: string | string[] | undefined): Promise<Identity | undefined> {
    const stored = await this.#store.take(keyOf(ticket));
    if (!stored || stored.endsAt <= this.#clock.now()) return undefined;
    const issuedAt = new Date(stored.endsAt.getTime() - this.#lifetime);
    if (this.#disconnects.wasDisconnectedSince(issuedAt, stored.identity)) return undefined;
    return stored.origin === comparable(origin) ? stored.identity : undefined;
  }
}

function keyOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex');
}

/** The origin to compare; a header that names no web page, such as `null`, is compared unchanged. */
function comparable(origin: string | string[] | undefined): string | undefined {
  return originOf(origin) ?? (origin === undefined ? undefined : String(origin));
}

/** A ticket as it is stored. */
export interface StoredTicket {
  /** The identity of the connection that the ticket opens. */
  readonly identity: Identity;
  /** The page that may use it; undefined if a client without an Origin header requested it. */
  readonly origin: string | undefined;
  /** When it expires. */
  readonly endsAt: Date;
}

/**
 * A provider that keeps tickets until they are used. Default: a table that all processes of a database share; on PGlite, the memory of the
 * process. To use another: `createApp({ …, ticketStore: RedisTickets })`.
 */
export interface TicketStore {
  /**
   * Stores a ticket.
   *
   * @param key a hash of the ticket, so that an attacker who reads the store has no ticket
   */
  add(key: string, ticket: StoredTicket): Promise<void>;
  /** Removes the ticket and returns it. If two callers ask for one key, also in two processes, at most one gets the ticket. */
  take(key: string): Promise<StoredTicket | undefined>;
}

/** The interval in which expired tickets are removed, in milliseconds. */
const sweepInterval = 10_000;

/** The tickets of one process. */
export class InMemoryTicketStore implements TicketStore {
  readonly #tickets = new Map<string, StoredTicket>();
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #capacity: number;
  #sweep: Timer | undefined;
  #wasFull = false;

  /** @param capacity the most tickets that may wait; one more drops the oldest. Default: 100 000 */
  constructor(clock: Clock, logger: Logger, capacity = 100_000) {
    this.#clock = clock;
    this.#logger = logger;
    this.#capacity = capacity;
  }

  /** The number of waiting tickets. */
  get size(): number {
    return this.#tickets.size;
  }

  async add(key: string, ticket: StoredTicket): Promise<void> {
    this.#tickets.set(key, ticket);
    this.#dropOldest();
    // The timer would keep the request that issues the ticket.
    this.#sweep ??= runDetached(() => this.#clock.after(sweepInterval, () => this.#sweepOut()));
  }

  async take(key: string): Promise<StoredTicket | undefined> {
    const ticket = this.#tickets.get(key);
    this.#tickets.delete(key);
    return ticket && ticket.endsAt > this.#clock.now() ? ticket : undefined;
  }

  /** Drops the oldest ticket, which has had the most time to be used: a flood only does harm if it is as fast as an honest client. */
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
