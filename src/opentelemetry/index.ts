export { OpenTelemetryCounters } from './open-telemetry-counters.js';
export { OpenTelemetryTracer } from './open-telemetry-tracer.js';
