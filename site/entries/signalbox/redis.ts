/**
 * A channel layer over Redis, for applications of several processes.
 *
 * @module signalbox/redis
 */
export * from '../../../src/channel-layer/redis/index.js';
