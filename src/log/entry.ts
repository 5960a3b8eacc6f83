import type { EntityClass, EntityMetadata } from '@mikro-orm/core';
import type { ConnectionCommand } from '../authentication/connection-registry.js';
import type { LoggedRecheck, LoggedSignal } from '../orm/change-capture.js';
import type { StoredRow } from '../orm/row.js';

/** What one commit did to one row. Created: no `before`. Deleted: no `after`. */
export interface ModelChange {
  readonly entity: EntityClass<object>;
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  /** The values of the key's columns, as the database has them. */
  readonly key: readonly unknown[];
  readonly before?: StoredRow;
  readonly after?: StoredRow;
  /** The request that made it, of whichever process, if one did. */
  readonly origin?: string;
}

/** What an application has done to its own connections, and tells the others to do to theirs. */
export interface LoggedCommand {
  readonly command: ConnectionCommand;
  /** The application that gave it, and has obeyed it already. */
  readonly source: string;
  /** When it was given, by the clock of that application, in milliseconds since 1970. */
  readonly at: number;
}

/** What one transaction committed, in the order in which the database shows it to others. */
export interface Commit {
  readonly changes: readonly ModelChange[];
  readonly signals: readonly LoggedSignal[];
  readonly rechecks: readonly LoggedRecheck[];
  readonly orders: readonly LoggedCommand[];
  /** The classes of rows whose changes were too many for an entry, or could not be read: their subscribers have to read anew. */
  readonly untold: readonly EntityClass<object>[];
  /** The trace of the commit, as W3C `traceparent`; absent where nothing is traced. */
  readonly cause?: string;
}

/** The text of an entry. One transaction may have several: what was written behind the first makes another one. */
export interface Entry {
  readonly v: 1;
  /** Of one that is no part of a transaction: it may have been written twice, where the answer to the first attempt was lost. */
  readonly id?: string;
  readonly cause?: string;
  readonly rows: readonly EntryRow[];
  readonly signals?: readonly LoggedSignal[];
  readonly rechecks?: readonly LoggedRecheck[];
  readonly orders?: readonly LoggedCommand[];
  readonly untold?: readonly string[];
  /** The rows as the commit left them: a list for each shape, in the order of `rows`. Null where a row is gone. */
  readonly after: readonly (readonly unknown[] | null)[];
}

export interface EntryRow {
  readonly class: string;
  readonly schema?: string;
  readonly key: readonly unknown[];
  /** What the texts of the row mean. */
  readonly shape: string;
  /** Which list of `after` has the row. */
  readonly list: number;
  readonly isNew?: true;
  readonly isQuiet?: true;
  readonly isGoing?: true;
  readonly before?: unknown;
  readonly origin?: string;
}
