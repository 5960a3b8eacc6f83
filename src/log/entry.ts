import type { EntityClass, EntityMetadata } from '@mikro-orm/core';
import type { ConnectionCommand } from '../authentication/connection-registry.js';
import type { LoggedRecheck, LoggedSignal } from '../orm/change-capture.js';
import type { StoredRow } from '../orm/row.js';

/** What one commit did to one row. A created row has no `before`, a deleted one no `after`. */
export interface ModelChange {
  readonly entity: EntityClass<object>;
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  /** The values of the key's columns, as the database has them. */
  readonly key: readonly unknown[];
  readonly before?: StoredRow;
  readonly after?: StoredRow;
  /** The request that made the change, in whichever process; undefined outside of requests. */
  readonly origin?: string;
}

/** A command that an application has applied to its own connections, and that other applications apply to theirs. */
export interface LoggedCommand {
  readonly command: ConnectionCommand;
  /** The application that sent the command, and has applied it already. */
  readonly source: string;
  /** When the command was given, by the clock of that application, in milliseconds since 1970. */
  readonly at: number;
}

/** What one transaction committed. Commits come in the order in which the database makes them visible. */
export interface Commit {
  readonly changes: readonly ModelChange[];
  readonly signals: readonly LoggedSignal[];
  readonly rechecks: readonly LoggedRecheck[];
  readonly commands: readonly LoggedCommand[];
  /** The classes of rows whose changes were too many for an entry, or could not be read: their subscribers have to read again. */
  readonly untold: readonly EntityClass<object>[];
  /** The trace of the commit, as W3C `traceparent`; undefined without tracing. */
  readonly cause?: string;
}

/** The content of an entry. A transaction may have several: writes after the first entry make another one. */
export interface Entry {
  readonly v: 1;
  /** The id of an entry outside of any transaction. It may be in the log twice, if the answer to the first attempt was lost. */
  readonly id?: string;
  readonly cause?: string;
  readonly rows: readonly EntryRow[];
  readonly signals?: readonly LoggedSignal[];
  readonly rechecks?: readonly LoggedRecheck[];
  /** Commands; the key is part of the log's format. */
  readonly orders?: readonly LoggedCommand[];
  readonly untold?: readonly string[];
  /** The rows as the commit left them: one list for each shape, in the order of `rows`. Null for a row that is gone. */
  readonly after: readonly (readonly unknown[] | null)[];
}

export interface EntryRow {
  readonly class: string;
  readonly schema?: string;
  readonly key: readonly unknown[];
  /** The id of the shape, which says what the row's text means. */
  readonly shape: string;
  /** The index of the list in `after` that holds the row. */
  readonly list: number;
  readonly isNew?: true;
  readonly isQuiet?: true;
  readonly isGoing?: true;
  readonly before?: unknown;
  readonly origin?: string;
}
