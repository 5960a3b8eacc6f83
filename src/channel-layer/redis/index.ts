export { RedisChannelLayer, type RedisChannelLayerOptions } from './redis-channel-layer.js';
