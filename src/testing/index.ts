export { type ConnectOptions, connect, TestConnection, type TestStream } from './connect.js';
export { MemoryCounters } from './memory-counters.js';
export { type LogEntry, MemoryLogger } from './memory-logger.js';
export { MemoryTransport } from './memory-transport.js';
export {
  type ReceiveOptions,
  type TestActionName,
  TestChannel,
  type TestReply,
  type TestRequest,
} from './test-channel.js';
export { TestClock } from './test-clock.js';
export { type ClearableOrm, truncate } from './truncate.js';
