import type { Identity } from '../scope/identity.js';

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
