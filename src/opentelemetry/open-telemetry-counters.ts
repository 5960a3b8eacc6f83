import { type Counter, type Gauge, metrics } from '@opentelemetry/api';
import { type CounterLabels, Counters } from '../telemetry.js';

/** Counters that report Signalbox' metrics to OpenTelemetry, under their own names. */
export class OpenTelemetryCounters extends Counters {
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();

  override increment(name: string, labels?: CounterLabels): void {
    const known = this.#counters.get(name) ?? metrics.getMeter('signalbox').createCounter(name);
    this.#counters.set(name, known);
    known.add(1, labels && { ...labels });
  }

  override gauge(name: string, value: number, labels?: CounterLabels): void {
    const known = this.#gauges.get(name) ?? metrics.getMeter('signalbox').createGauge(name);
    this.#gauges.set(name, known);
    known.record(value, labels && { ...labels });
  }
}
