/** What a component shows of something that can be ended. The members are what `useSyncExternalStore` takes. */
export interface Source<Snapshot> {
  readonly subscribe: (listener: () => void) => () => void;
  /** The same value until something changes. */
  readonly getSnapshot: () => Snapshot;
  readonly close: () => void;
}

/**
 * A source that is there while a component listens. React may render a component and never mount it, and mounts it twice in
 * StrictMode: so rendering opens nothing, and each first listener opens anew.
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
