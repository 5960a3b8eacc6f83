/**
 * Hooks over the client: live rows, subscriptions and the status of the connection.
 *
 * @module signalbox/react
 */
export * from '../../../src/react/index.js';
