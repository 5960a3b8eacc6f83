import { runDetached } from '../async-context.js';
import { Stage } from '../signals/stage.js';

/** As much of a transaction's events as the stages need. */
export interface TransactionEvent {
  readonly em: TransactionOwner;
  readonly transaction?: object & { readonly savepointName?: string };
}

interface TransactionOwner {
  getTransactionContext(): object | undefined;
  getDriver(): unknown;
}

interface SqlDriver {
  execute(sql: string, parameters: unknown[], method: 'all', transaction: object): Promise<unknown>;
}

/** One stage per open transaction and savepoint. Released on the outermost commit only. */
export class TransactionStages<T> {
  /** Weak, because a killed connection reports neither commit nor rollback. */
  readonly #stages = new WeakMap<object, Stage<T>>();
  readonly #around = new WeakMap<object, object>();
  readonly #merge: (earlier: T, later: T) => T | undefined;
  readonly #released: (entries: readonly T[], cause: string | undefined) => void;
  readonly #cause: () => string | undefined;

  /** @param cause asked at the commit what it belongs to, which `released` is told: it runs outside of that */
  constructor(
    merge: (earlier: T, later: T) => T | undefined,
    released: (entries: readonly T[], cause: string | undefined) => void,
    cause: () => string | undefined = () => undefined,
  ) {
    this.#merge = merge;
    this.#released = released;
    this.#cause = cause;
  }

  /** The stage of what this entity manager writes now; without a transaction, one that its flush releases. */
  of(em: TransactionOwner): Stage<T> {
    return this.#find(em.getTransactionContext() ?? em);
  }

  starting({ em, transaction }: TransactionEvent): void {
    if (transaction) this.#around.set(em, transaction);
    else this.#around.delete(em);
  }

  started({ em, transaction }: TransactionEvent): void {
    if (!transaction) return;
    const around = transaction.savepointName ? this.#around.get(em) : undefined;
    this.#stages.set(transaction, new Stage(this.#merge, around && this.#find(around)));
  }

  /**
   * PostgreSQL "commits" a transaction that an error has aborted, by rolling it back without a word. A query asks first:
   * in an aborted transaction it throws, and the commit becomes the rollback that it is.
   */
  async committing({ em, transaction }: TransactionEvent): Promise<void> {
    if (!transaction || transaction.savepointName || this.#find(transaction).isEmpty) return;
    const driver = em.getDriver() as Partial<SqlDriver>;
    await driver.execute?.('select 1', [], 'all', transaction);
  }

  committed({ transaction }: TransactionEvent): void {
    if (transaction) this.#release(this.#find(transaction));
  }

  releaseLoose(em: TransactionOwner): void {
    this.#release(this.#find(em));
  }

  rolledBack({ transaction }: TransactionEvent): void {
    if (transaction) this.#stages.delete(transaction);
  }

  #release(stage: Stage<T>): void {
    const entries = stage.release();
    if (entries.length === 0) return;
    const cause = this.#cause();
    // Inside a flush the ORM's own async context would switch off the auto-flush of whatever is run there.
    runDetached(() => this.#released(entries, cause));
  }

  #find(key: object): Stage<T> {
    const existing = this.#stages.get(key);
    if (existing) return existing;
    const created = new Stage<T>(this.#merge);
    this.#stages.set(key, created);
    return created;
  }
}
