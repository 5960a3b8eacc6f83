/**
 * For specs: connections to an application without a port, a clock that stands still, loggers that remember.
 *
 * @module signalbox/testing
 */
export * from '../../../src/testing/index.js';
