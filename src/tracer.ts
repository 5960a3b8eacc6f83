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

  /**
   * The same for an event on its way to a subscription, in a trace of its own: one commit reaches many, in other processes too.
   *
   * @param cause the trace of the commit, as `current` told it there; to be linked to
   */
  deliver<T>(_name: string, _attributes: TraceAttributes, _cause: string, work: (span: TraceSpan) => T): T {
    return work(noSpan);
  }

  /** The active span as the text of a W3C `traceparent`. It travels with what is committed; undefined where nothing is traced. */
  current(): string | undefined {
    return undefined;
  }
}
