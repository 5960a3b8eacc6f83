import { type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { type TraceAttributes, Tracer, type TraceSpan } from '../tracer.js';

/** A span for each action, in whatever OpenTelemetry SDK the process has set up; without one it costs next to nothing. */
export class OpenTelemetryTracer extends Tracer {
  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    const options = { kind: SpanKind.SERVER, attributes: { ...attributes } };
    return trace.getTracer('signalbox').startActiveSpan(name, options, (span) => work(toTraceSpan(span)));
  }
}

function toTraceSpan(span: Span): TraceSpan {
  const { traceId } = span.spanContext();
  const isTraced = span.isRecording();
  return {
    traceId: isTraced ? traceId : undefined,
    end: (status) => {
      span.setAttribute('signalbox.status', status ?? 'disconnected');
      if (status !== undefined && status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}
