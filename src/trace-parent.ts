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
