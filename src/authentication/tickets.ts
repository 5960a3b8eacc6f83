import { createHash, randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../logger.js';
import { originOf } from '../scope/headers.js';
import type { Identity } from '../scope/scope-types.js';
import type { ConnectionRegistry } from './connection-registry.js';

type Disconnects = Pick<ConnectionRegistry, 'momentOfIssue' | 'wasDisconnectedSince'>;

/** What `Tickets.issue` gives to the page that will open the socket. */
export interface IssuedTicket {
  /** 43 signs that need no escape in a query. */
  readonly ticket: string;
  /** When the ticket becomes void: `ticketLifetime` (30 000 ms) after its issue. */
  readonly expiresAt: Date;
}

/**
 * Tickets for one upgrade each: a browser can state no other credential in the URL of a socket without leaving a lasting one
 * in logs. Injected where an HTTP route hands them out to the user who is logged in there.
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
   * @param disconnects of the users whose tickets they are. Default none
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

  /** @param origin the Origin header of the request that asks for it; the upgrade has to come with the same, or with none */
  async issue(identity: Identity, origin: string | undefined): Promise<IssuedTicket> {
    const ticket = randomBytes(32).toString('base64url');
    const expiresAt = new Date(this.#disconnects.momentOfIssue(identity) + this.#lifetime);
    await this.#store.add(keyOf(ticket), { identity, origin: comparable(origin), endsAt: expiresAt });
    return { ticket, expiresAt };
  }

  /** The user it was issued to; none where they were disconnected since. It is used up by the question, whatever the answer. */
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

/** A header that names no web page, such as `null`, is compared as it is. */
function comparable(origin: string | string[] | undefined): string | undefined {
  return originOf(origin) ?? (origin === undefined ? undefined : String(origin));
}

/** What a ticket stands for. */
export interface StoredTicket {
  /** The identity of the connection that the ticket opens. */
  readonly identity: Identity;
  /** The page that may use it; undefined where a client without an Origin header asked for it. */
  readonly origin: string | undefined;
  /** Until when it can be taken. */
  readonly endsAt: Date;
}

/**
 * A provider that keeps tickets until they are taken. The default is a table that all processes of a database share, and on PGlite the
 * memory of the process. Another one: `createApp({ …, ticketStore: RedisTickets })`.
 */
export interface TicketStore {
  /** @param key a hash of the ticket: an attacker who reads the store holds no ticket */
  add(key: string, ticket: StoredTicket): Promise<void>;
  /** Takes it out: of two that ask for one key, also in two processes, at most one is given the ticket. */
  take(key: string): Promise<StoredTicket | undefined>;
}

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
