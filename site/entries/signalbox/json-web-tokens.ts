export * from '../../../src/authentication/json-web-tokens.js';
