/**
 * The page for developers, which lists what an application offers and shows why an event came or did not.
 *
 * @module signalbox/explorer
 */
export * from '../../../src/explorer/index.js';
