export * from '../../../src/react/index.js';
