import type { EntityMetadata } from '@mikro-orm/core';

/** A signal that was sent inside the transaction. */
export interface LoggedSignal {
  /** What applications call it: the ids of those who hear it. */
  readonly names: readonly string[];
  /** As `encodePayload` wrote it. */
  readonly payload: string;
  readonly origin?: string;
}

/** Subscriptions that the code of the transaction has asked again. */
export interface LoggedRecheck {
  readonly observer: string;
  readonly groups: readonly string[];
  readonly origin?: string;
  /** The application that has asked its own subscriptions already, where it did so outside of any transaction. */
  readonly source?: string;
}

/**
 * What a transaction has done to one row. What became of the row is not in it: the statement that ends the transaction reads it
 * from the database.
 */
export interface RowNote {
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  /** The values of the key's columns, as the database has them. */
  readonly key: readonly unknown[];
  /** Whether the row was there before the transaction. */
  readonly wasThere: boolean;
  /** The text of the row before the transaction, read under its lock. Absent where no observer needs it. */
  readonly before?: unknown;
  /** Whether the text has what many-to-many relations hold. */
  readonly withMembers: boolean;
  /** The change is told only where the row's text differs. */
  readonly isQuiet?: boolean;
  /** Nothing but what its many-to-many relations hold has changed. */
  readonly isRelinked?: boolean;
  /** The application said that the row goes, and does it itself later. */
  readonly isGoing?: boolean;
  /** The request that made the change, if a request did. */
  readonly origin?: string;
}

/** What a transaction, or a savepoint in it, has to tell once it commits. */
class Stage {
  readonly rows = new Map<string, RowNote>();
  readonly signals: LoggedSignal[] = [];
  readonly rechecks: LoggedRecheck[] = [];
  readonly works: (() => unknown)[] = [];

  /** @param parent the stage of the transaction around this savepoint */
  constructor(readonly parent?: Stage) {}

  get isEmpty(): boolean {
    return this.rows.size + this.signals.length + this.rechecks.length === 0;
  }

  note(note: RowNote): void {
    const name = nameOf(note);
    const earlier = this.rows.get(name);
    this.rows.set(name, earlier ? merged(earlier, note) : note);
  }

  /** A released savepoint hands everything to the transaction around it. */
  release(): void {
    for (const note of this.rows.values()) this.parent?.note(note);
    this.parent?.signals.push(...this.signals);
    this.parent?.rechecks.push(...this.rechecks);
    this.parent?.works.push(...this.works);
  }
}

export type { Stage };

/** What MikroORM calls the context of a transaction; a savepoint is one with a name. */
export interface TransactionContext {
  readonly savepointName?: string;
}

/** As much of a transaction's events as the buffer needs. */
export interface TransactionEvent {
  readonly em: TransactionOwner;
  readonly transaction?: TransactionContext;
}

interface TransactionOwner {
  getTransactionContext(): object | undefined;
}

/**
 * One stage per open transaction and savepoint of a database. A savepoint that is rolled back is dropped with all that is in it; what
 * the outermost transaction has is taken when it is about to commit.
 */
export class CommitBuffer {
  /** Weak, because a killed connection reports neither commit nor rollback. */
  readonly #stages = new WeakMap<object, Stage>();
  readonly #around = new WeakMap<object, object>();

  /** The stage of what this entity manager writes now; without a transaction, one of the manager's own. */
  of(em: TransactionOwner): Stage {
    return this.find(em.getTransactionContext() ?? em);
  }

  find(transaction: object): Stage {
    const existing = this.#stages.get(transaction);
    if (existing) return existing;
    const created = new Stage();
    this.#stages.set(transaction, created);
    return created;
  }

  /** The stage is empty from now on: what comes later is taken by itself. */
  take(transaction: object): Stage {
    const stage = this.find(transaction);
    this.#stages.delete(transaction);
    return stage;
  }

  starting({ em, transaction }: TransactionEvent): void {
    if (transaction) this.#around.set(em, transaction);
    else this.#around.delete(em);
  }

  started({ em, transaction }: TransactionEvent): void {
    if (!transaction) return;
    const around = transaction.savepointName ? this.#around.get(em) : undefined;
    this.#stages.set(transaction, new Stage(around && this.find(around)));
  }

  released({ transaction }: TransactionEvent): void {
    if (transaction?.savepointName) this.take(transaction).release();
  }

  rolledBack({ transaction }: TransactionEvent): void {
    if (transaction) this.#stages.delete(transaction);
  }
}

/** A row by the root of its class, its schema and its key: rows of a subclass are rows of the root's table. */
function nameOf({ meta, schema, key }: RowNote): string {
  return JSON.stringify([meta.root.className, schema, key.map(String)]);
}

/** Two changes of a row in one transaction are one: the row was there if it was there before the first. */
function merged(earlier: RowNote, later: RowNote): RowNote {
  const { before: _, isQuiet, isRelinked, ...rest } = later;
  return {
    ...rest,
    ...(isRelinked && earlier.isRelinked && { isRelinked }),
    wasThere: earlier.wasThere,
    ...(earlier.before !== undefined && { before: earlier.before, withMembers: earlier.withMembers }),
    ...(isQuiet && earlier.isQuiet && { isQuiet }),
  };
}
