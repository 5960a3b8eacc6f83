/**
 * What an open transaction has to tell once it commits. A savepoint has a stage of its own inside that of the transaction
 * around it: released, it hands everything to that one; rolled back, it is dropped with all that is in it.
 */
export class Stage<T> {
  readonly #entries = new Map<string, T>();
  readonly #merge: (earlier: T, later: T) => T | undefined;

  /**
   * @param merge what two entries of one key amount to; undefined where they cancel out
   * @param parent the stage of the transaction around this savepoint
   */
  constructor(
    merge: (earlier: T, later: T) => T | undefined,
    readonly parent?: Stage<T>,
  ) {
    this.#merge = merge;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  stage(key: string, entry: T): void {
    const earlier = this.#entries.get(key);
    const merged = earlier === undefined ? entry : this.#merge(earlier, entry);
    if (merged === undefined) this.#entries.delete(key);
    else this.#entries.set(key, merged);
  }

  /** Hands the entries to the transaction around this one, or to the caller where there is none. */
  release(): T[] {
    const entries = [...this.#entries];
    this.#entries.clear();
    if (!this.parent) return entries.map(([, entry]) => entry);
    for (const [key, entry] of entries) this.parent.stage(key, entry);
    return [];
  }
}
