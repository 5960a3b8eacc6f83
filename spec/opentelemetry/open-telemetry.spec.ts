import {
  type ContextManager,
  context,
  type Meter,
  type MeterProvider,
  metrics,
  ROOT_CONTEXT,
  type Span,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { expect } from 'chai';
import { OpenTelemetryCounters, OpenTelemetryTracer } from 'signalbox/opentelemetry';

describe('The binding to OpenTelemetry', () => {
  let told: unknown[];

  beforeEach(() => {
    told = [];
  });
  afterEach(() => {
    trace.disable();
    context.disable();
    metrics.disable();
  });

  function setUpTraces(): void {
    const span = {
      spanContext: () => ({ traceId: 'trace-1', spanId: 'span-1', traceFlags: 1 }),
      isRecording: () => true,
      setAttribute: (name: string, value: unknown) => told.push(['attribute', name, value]),
      setStatus: (status: unknown) => told.push(['status', status]),
      end: () => told.push('end'),
    } as unknown as Span;
    const startActiveSpan = (name: string, options: object, work: (span: Span) => unknown): unknown => {
      told.push([name, options]);
      return work(span);
    };
    const provider = { getTracer: () => ({ startActiveSpan }) as unknown as Tracer } satisfies TracerProvider;
    trace.setGlobalTracerProvider(provider);
  }

  it('runs an action inside of an active span', () => {
    setUpTraces();
    const result = new OpenTelemetryTracer().run('Rooms list', { 'signalbox.action': 'list' }, (span) => {
      span.end(200);
      return span.traceId;
    });
    expect(result).to.equal('trace-1');
    expect(told).to.deep.equal([
      ['Rooms list', { kind: 1, attributes: { 'signalbox.action': 'list' } }],
      ['attribute', 'signalbox.status', 200],
      'end',
    ]);
  });

  it('marks the spans that failed, and events that reached no subscription', () => {
    setUpTraces();
    new OpenTelemetryTracer().run('Rooms list', {}, (span) => {
      span.end(500);
      span.end(undefined);
    });
    expect(told.slice(1)).to.deep.equal([
      ['attribute', 'signalbox.status', 500],
      ['status', { code: 2 }],
      'end',
      ['attribute', 'signalbox.status', 'disconnected'],
      'end',
    ]);
  });

  it('links a delivery to the trace of its commit, in a trace of its own', () => {
    setUpTraces();
    const tracer = new OpenTelemetryTracer();
    const cause = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    tracer.deliver('deliver Rooms.onRoom', { 'signalbox.observer': 'Rooms.onRoom' }, cause, (span) => span.end(403));
    const linked = {
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
      isRemote: true,
    };
    const attributes = { 'signalbox.observer': 'Rooms.onRoom' };
    expect(told).to.deep.equal([
      ['deliver Rooms.onRoom', { kind: 4, attributes, links: [{ context: linked }], root: true }],
      ['attribute', 'signalbox.status', 403],
      'end',
    ]);
  });

  for (const cause of ['', 'nonsense', '00-1-2-01', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, 7 as never]) {
    it(`links a delivery to nothing where the message says ${JSON.stringify(cause)}`, () => {
      setUpTraces();
      new OpenTelemetryTracer().deliver('deliver Rooms.onRoom', {}, cause, () => {});
      expect(told).to.deep.equal([['deliver Rooms.onRoom', { kind: 4, attributes: {}, links: [], root: true }]]);
    });
  }

  it('tells the active span as W3C traceparent, and nothing without one', () => {
    const tracer = new OpenTelemetryTracer();
    expect(tracer.current()).to.equal(undefined);
    const active = trace.wrapSpanContext({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
    });
    const manager = {
      active: () => trace.setSpan(ROOT_CONTEXT, active),
      disable: () => {},
    } as unknown as ContextManager;
    context.setGlobalContextManager(manager);
    expect(tracer.current()).to.equal('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
  });

  it('traces nothing where no SDK is set up', () => {
    expect(new OpenTelemetryTracer().run('Rooms list', {}, ({ traceId }) => traceId ?? 'none')).to.equal('none');
  });

  it('counts and gauges under the names of Signalbox', () => {
    const instrument = (kind: string) => (name: string) => ({
      add: (value: number, labels: unknown) => told.push([kind, name, value, labels]),
      record: (value: number, labels: unknown) => told.push([kind, name, value, labels]),
    });
    const meter = { createCounter: instrument('counter'), createGauge: instrument('gauge') } as unknown as Meter;
    metrics.setGlobalMeterProvider({ getMeter: () => meter } satisfies MeterProvider);
    const counters = new OpenTelemetryCounters();
    counters.increment('signalbox.actions', { status: '200' });
    counters.gauge('signalbox.connections', 3);
    expect(told).to.deep.equal([
      ['counter', 'signalbox.actions', 1, { status: '200' }],
      ['gauge', 'signalbox.connections', 3, undefined],
    ]);
  });
});
