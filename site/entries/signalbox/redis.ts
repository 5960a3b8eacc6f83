export * from '../../../src/channel-layer/redis/index.js';
