/** Label -> value. Both take few values: see `docs/operations.md`. */
export type CounterLabels = Readonly<Record<string, string>>;

/**
 * Takes the figures of a running process. Extend it and register your own; this one counts nothing. The names are
 * listed in `docs/operations.md`, and their labels take few values, never a user's or a client's.
 *
 * ```ts
 * container.registerInstance(Counters, new OpenTelemetryCounters());   // from signalbox/opentelemetry
 * ```
 */
export class Counters {
  /** Adds one to a counter. */
  increment(_name: string, _labels?: CounterLabels): void {}

  /** Sets a gauge to its present value. */
  gauge(_name: string, _value: number, _labels?: CounterLabels): void {}
}

/** Counters that fail must not take what they count with them. */
export class GuardedCounters extends Counters {
  /** Whether anything is counted: the default counts nothing, and costs nothing. */
  readonly isOn: boolean;
  readonly #counters: Counters;
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure called with what the counters threw */
  constructor(counters: Counters, onFailure: (error: unknown) => void) {
    super();
    this.isOn = counters.constructor !== Counters;
    this.#counters = counters;
    this.#onFailure = onFailure;
  }

  override increment(name: string, labels?: CounterLabels): void {
    this.#guard(() => this.#counters.increment(name, labels));
  }

  override gauge(name: string, value: number, labels?: CounterLabels): void {
    this.#guard(() => this.#counters.gauge(name, value, labels));
  }

  #guard(count: () => void): void {
    try {
      count();
    } catch (error) {
      this.#onFailure(error);
    }
  }
}
