export * from '../../../src/opentelemetry/index.js';
