/**
 * Authentication by JSON Web Tokens, over `jose`.
 *
 * @module signalbox/json-web-tokens
 */
export * from '../../../src/authentication/json-web-tokens.js';
