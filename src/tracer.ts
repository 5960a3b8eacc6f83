/** One piece of work in a trace. */
export interface TraceSpan {
  /** Stands in every log line of the work, as `trace`. */
  readonly traceId: string | undefined;
  /** @param status that the client was told; undefined where it was gone */
  end(status: number | undefined): void;
}

export type TraceAttributes = Readonly<Record<string, string | number>>;

const noSpan: TraceSpan = { traceId: undefined, end: () => {} };

/** Where traces go. Extend it and register your own; this one traces nothing. `signalbox/opentelemetry` has one. */
export class Tracer {
  /** Runs work inside of a span, which is the active one meanwhile. */
  run<T>(_name: string, _attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    return work(noSpan);
  }
}

/** A tracer that fails must not take what it traces with it: the work is done once, whatever becomes of its span. */
export class GuardedTracer extends Tracer {
  readonly #tracer: Tracer;
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure told of a tracer that threw */
  constructor(tracer: Tracer, onFailure: (error: unknown) => void) {
    super();
    this.#tracer = tracer;
    this.#onFailure = onFailure;
  }

  /** @param work rejects rather than throws */
  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    let begun: { readonly result: T } | undefined;
    const begin = (span: TraceSpan): T => {
      begun = { result: work(this.#guarded(span)) };
      return begun.result;
    };
    try {
      return this.#tracer.run(name, attributes, begin);
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
