import { isSpanContextValid, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { readTraceParent, type TraceAttributes, Tracer, type TraceSpan, toTraceParent } from '../telemetry.js';

/**
 * A tracer that makes a span for each action, and for each delivery that calls a permission or a method, in the OpenTelemetry SDK of the
 * process. Without an SDK it costs almost nothing.
 */
export class OpenTelemetryTracer extends Tracer {
  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    const options = { kind: SpanKind.SERVER, attributes: { ...attributes } };
    return trace.getTracer('signalbox').startActiveSpan(name, options, (span) => work(toTraceSpan(span)));
  }

  /**
   * Links the delivery to the commit instead of making it a child, as the conventions for messaging do: otherwise the trace of a commit
   * would have no end.
   */
  override deliver<T>(name: string, attributes: TraceAttributes, cause: string, work: (span: TraceSpan) => T): T {
    const parent = readTraceParent(cause);
    const links = parent ? [{ context: { ...parent, isRemote: true } }] : [];
    const options = { kind: SpanKind.CONSUMER, attributes: { ...attributes }, links, root: true };
    return trace.getTracer('signalbox').startActiveSpan(name, options, (span) => work(toTraceSpan(span)));
  }

  override current(): string | undefined {
    const context = trace.getActiveSpan()?.spanContext();
    return context && isSpanContextValid(context) ? toTraceParent(context) : undefined;
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
