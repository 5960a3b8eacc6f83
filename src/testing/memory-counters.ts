import { type CounterLabels, Counters } from '../telemetry.js';

/** Keeps all counts: `container.registerInstance(Counters, new MemoryCounters())`. */
export class MemoryCounters extends Counters {
  readonly #counts = new Map<string, number>();
  readonly #gauges = new Map<string, number>();

  override increment(name: string, labels?: CounterLabels): void {
    const key = keyOf(name, labels);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  override gauge(name: string, value: number, labels?: CounterLabels): void {
    this.#gauges.set(keyOf(name, labels), value);
  }

  /** How often a counter was incremented with exactly these labels. */
  count(name: string, labels?: CounterLabels): number {
    return this.#counts.get(keyOf(name, labels)) ?? 0;
  }

  /** The last value of a gauge; undefined if it has none. */
  value(name: string, labels?: CounterLabels): number | undefined {
    return this.#gauges.get(keyOf(name, labels));
  }
}

function keyOf(name: string, labels: CounterLabels = {}): string {
  return JSON.stringify([name, Object.entries(labels).sort()]);
}
