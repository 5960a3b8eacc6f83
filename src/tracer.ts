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
  readonly #tracer: Tracer;
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure called with what the tracer threw */
  constructor(tracer: Tracer, onFailure: (error: unknown) => void) {
    super();
    this.isOn = tracer.constructor !== Tracer;
    this.#tracer = tracer;
    this.#onFailure = onFailure;
  }

  /** @param work rejects rather than throws */
  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    return this.#guard(work, (begin) => this.#tracer.run(name, attributes, begin));
  }

  /** @param work rejects rather than throws */
  override deliver<T>(name: string, attributes: TraceAttributes, cause: string, work: (span: TraceSpan) => T): T {
    return this.#guard(work, (begin) => this.#tracer.deliver(name, attributes, cause, begin));
  }

  override current(): string | undefined {
    try {
      return this.#tracer.current();
    } catch (error) {
      this.#onFailure(error);
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
      this.#onFailure(error);
      return begun ? begun.result : work(noSpan);
    }
  }

  #guarded(span: TraceSpan): TraceSpan {
    const end = (status: number | undefined): void => {
      try {
        span.end(status);
      } catch (error) {
        this.#onFailure(error);
      }
    };
    return { traceId: span.traceId, end };
  }
}
