/**
 * The server: consumers and their actions, observers, permissions, serializers, paginators, filters, authentication, settings, and `createApp`.
 *
 * @module signalbox
 */
export * from '../../src/index.js';
