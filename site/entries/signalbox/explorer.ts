export * from '../../../src/explorer/index.js';
