import {
  type Meter,
  type MeterProvider,
  metrics,
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

  it('marks what failed, and what nobody was told of', () => {
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
