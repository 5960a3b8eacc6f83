export { type ConnectOptions, connect, TestConnection } from './connect.js';
export { MemoryCounters } from './memory-counters.js';
export { type LogEntry, MemoryLogger } from './memory-logger.js';
export { MemoryTransport } from './memory-transport.js';
export { type ReceiveOptions, TestChannel } from './test-channel.js';
export { TestClock } from './test-clock.js';
export { type ClearableOrm, truncate } from './truncate.js';
