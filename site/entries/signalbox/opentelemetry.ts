/**
 * Spans and counters for OpenTelemetry.
 *
 * @module signalbox/opentelemetry
 */
export * from '../../../src/opentelemetry/index.js';
