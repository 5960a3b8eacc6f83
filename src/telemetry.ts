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

  /** @param onFailure called with what the counters threw */
  constructor(
    private readonly counters: Counters,
    private readonly onFailure: (error: unknown) => void,
  ) {
    super();
    this.isOn = counters.constructor !== Counters;
  }

  override increment(name: string, labels?: CounterLabels): void {
    this.#guard(() => this.counters.increment(name, labels));
  }

  override gauge(name: string, value: number, labels?: CounterLabels): void {
    this.#guard(() => this.counters.gauge(name, value, labels));
  }

  #guard(count: () => void): void {
    try {
      count();
    } catch (error) {
      this.onFailure(error);
    }
  }
}

/** One piece of work in a trace. */
export interface TraceSpan {
  /** Stands in every log line of the work, as `trace`. */
  readonly traceId: string | undefined;
  /** @param status of the reply; undefined where the client was gone */
  end(status: number | undefined): void;
}

/** Name -> value, as OpenTelemetry takes the attributes of a span. */
export type TraceAttributes = Readonly<Record<string, string | number>>;

const noSpan: TraceSpan = { traceId: undefined, end: () => {} };

/** Where traces go. Extend it and register your own; this one traces nothing. `signalbox/opentelemetry` has one. */
export class Tracer {
  /** Runs work inside of a span, which is the active one meanwhile. */
  run<T>(_name: string, _attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    return work(noSpan);
  }

  /**
   * Runs the delivery of an event to a subscription in a trace of its own, because one commit reaches many, in other processes too.
   *
   * @param cause the trace of the commit, as `current` gave it there; to be linked to
   */
  deliver<T>(_name: string, _attributes: TraceAttributes, _cause: string, work: (span: TraceSpan) => T): T {
    return work(noSpan);
  }

  /** The active span as the text of a W3C `traceparent`. It travels with what is committed; undefined where nothing is traced. */
  current(): string | undefined {
    return undefined;
  }
}

/** A tracer that fails must not take what it traces with it: the work is done once, whatever becomes of its span. */
export class GuardedTracer extends Tracer {
  /** Whether anything is traced: the default traces nothing, and costs nothing. */
  readonly isOn: boolean;

  /** @param onFailure called with what the tracer threw */
  constructor(
    private readonly tracer: Tracer,
    private readonly onFailure: (error: unknown) => void,
  ) {
    super();
    this.isOn = tracer.constructor !== Tracer;
  }

  /** @param work rejects rather than throws */
  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    return this.#guard(work, (begin) => this.tracer.run(name, attributes, begin));
  }

  /** @param work rejects rather than throws */
  override deliver<T>(name: string, attributes: TraceAttributes, cause: string, work: (span: TraceSpan) => T): T {
    return this.#guard(work, (begin) => this.tracer.deliver(name, attributes, cause, begin));
  }

  override current(): string | undefined {
    try {
      return this.tracer.current();
    } catch (error) {
      this.onFailure(error);
      return undefined;
    }
  }

  #guard<T>(work: (span: TraceSpan) => T, trace: (begin: (span: TraceSpan) => T) => T): T {
    let begun: { readonly result: T } | undefined;
    const begin = (span: TraceSpan): T => {
      begun = { result: work(this.#guarded(span)) };
      return begun.result;
    };
    try {
      return trace(begin);
    } catch (error) {
      this.onFailure(error);
      return begun ? begun.result : work(noSpan);
    }
  }

  #guarded(span: TraceSpan): TraceSpan {
    const end = (status: number | undefined): void => {
      try {
        span.end(status);
      } catch (error) {
        this.onFailure(error);
      }
    };
    return { traceId: span.traceId, end };
  }
}

/** What the text of a W3C `traceparent` tells, version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

/** Of a trace or a span that is none. */
const noId = /^0+$/;

/** Undefined for anything that is none: it may come from another process. */
export function readTraceParent(text: unknown): TraceParent | undefined {
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(String(text)) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (noId.test(traceId) || noId.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}

export function toTraceParent({ traceId, spanId, traceFlags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
