/** Something that a component shows and that can be ended. The members fit `useSyncExternalStore`. */
export interface Source<Snapshot> {
  readonly subscribe: (listener: () => void) => () => void;
  /** The same value until something changes. */
  readonly getSnapshot: () => Snapshot;
  readonly close: () => void;
}

/**
 * A source that exists while a component listens to it. React may render a component without mounting it, and mounts it twice in
 * StrictMode: so rendering opens nothing, and each first listener opens a new source.
 */
export class Opened<Snapshot, S extends Source<Snapshot>> {
  source: S | undefined;
  #listeners = 0;

  constructor(
    private readonly open: () => S,
    private readonly initial: Snapshot,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.source ??= this.open();
    const stop = this.source.subscribe(listener);
    this.#listeners++;
    return () => {
      stop();
      if (--this.#listeners === 0) this.#close();
    };
  };

  readonly getSnapshot = (): Snapshot => this.source?.getSnapshot() ?? this.initial;

  readonly getInitial = (): Snapshot => this.initial;

  #close(): void {
    this.source?.close();
    this.source = undefined;
  }
}
