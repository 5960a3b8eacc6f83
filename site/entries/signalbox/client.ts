/**
 * The client for browsers and Node.js, typed by what the server offers: calls, live rows, reconnection, and what is sent while there is no connection.
 *
 * @module signalbox/client
 */
export * from '../../../src/client/index.js';
