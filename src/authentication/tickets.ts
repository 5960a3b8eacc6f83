import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Identity } from '../scope/identity.js';
import { originOf } from '../scope/origin.js';
import type { ConnectionRegistry } from './connection-registry.js';
import type { TicketStore } from './ticket-store.js';

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
