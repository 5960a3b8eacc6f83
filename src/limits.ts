/**
 * How much one client, one user, one address and the whole process may ask for. All are whole numbers from 1; times are in
 * milliseconds, sizes in bytes. `docs/limits.md` says what happens at each.
 */
export interface Limits {
  /** Frames a second from one connection, control frames among them. Default 50. */
  readonly messagesPerSecond: number;
  /** Frames that one connection may send at once after it was quiet. Default 100. */
  readonly messageBurst: number;
  /** Frames a second of one user, through all connections to this process; never less than `messagesPerSecond`. Default 200. */
  readonly userMessagesPerSecond: number;
  /** Frames that one user may send at once after it was quiet; never less than `messageBurst`. Default 1 000. */
  readonly userMessageBurst: number;
  /** Bytes a second from one connection, and at once after it was quiet; never less than `maxPayload`. Default 262 144. */
  readonly bytesPerSecond: number;
  /** Frames of one connection in a minute that are answered 429, whatever the reason; one more closes it with 1013. Default 200. */
  readonly throttledPerMinute: number;
  /** Frames that are no request, or name no action or stream, in a minute; one more closes with 1008. Default 20. */
  readonly errorsPerMinute: number;
  /** Detached actions that one connection may have under way. Default 16. */
  readonly detachedActions: number;
  /** Requests of one connection that wait for those before them. Default 64. */
  readonly waitingRequests: number;
  /** Events and messages that wait for one consumer's permissions, observers and actions; one more closes with 1013. Default 10 000. */
  readonly waitingEvents: number;
  /** Subscriptions of one connection. Default 128. */
  readonly subscriptions: number;
  /** Groups of one connection, those of its subscriptions among them. Default 1 024. */
  readonly groups: number;
  /** Connections of one user to this process, those that logged in later among them. Default 20. */
  readonly connectionsPerUser: number;
  /** Connections of one address to this process; an IPv6 address counts as its /64. Default 100. */
  readonly connectionsPerAddress: number;
  /**
   * Sockets of one address to `listen`'s server that have not asked for a handshake; one more is cut. Never less than
   * `connectionsPerAddress`. Those of `trustedProxies` are not counted. Default 100.
   */
  readonly socketsPerAddress: number;
  /** Handshakes a second from one address. Default 10. */
  readonly addressHandshakesPerSecond: number;
  /** Handshakes that one address may begin at once after it was quiet. Default 100. */
  readonly addressHandshakeBurst: number;
  /** Connections of this process. Default 10 000. */
  readonly connections: number;
  /** Handshakes a second of this process, and at once after it was quiet. Default 500. */
  readonly handshakesPerSecond: number;
  /** Fragments of one message; one more closes with 1008. Default 16. */
  readonly fragments: number;
  /** Pieces in which one frame may arrive before it is whole; more close with 1008. Default 1 024. */
  readonly bufferedChunks: number;
  /** Pongs that wait to be sent; a ping beyond them cuts the socket. Default 10. */
  readonly pendingPongs: number;
  /** How long a client may take to answer a close. Default 3 000. */
  readonly closeHandshakeTime: number;
  /** Levels of objects and arrays in a frame. Default 32. */
  readonly jsonDepth: number;
  /** Keys of one object in a frame. Default 1 000. */
  readonly jsonKeys: number;
  /** Characters of one string or key in a frame. Default 32 768. */
  readonly jsonStringLength: number;
  /** Elements of one array in a frame. Default 1 000. */
  readonly jsonArrayLength: number;
  /** Characters of a request id. Default 64. */
  readonly requestIdLength: number;
  /** How long the headers of a request to `listen`'s server may take. Default 10 000. */
  readonly headersTime: number;
  /** How long a whole request to `listen`'s server may take. Default 15 000. */
  readonly requestTime: number;
  /** How often `listen`'s server looks for requests that take too long. Default 2 000. */
  readonly requestCheckInterval: number;
}

export const defaultLimits: Limits = {
  messagesPerSecond: 50,
  messageBurst: 100,
  userMessagesPerSecond: 200,
  userMessageBurst: 1_000,
  bytesPerSecond: 262_144,
  throttledPerMinute: 200,
  errorsPerMinute: 20,
  detachedActions: 16,
  waitingRequests: 64,
  waitingEvents: 10_000,
  subscriptions: 128,
  groups: 1_024,
  connectionsPerUser: 20,
  connectionsPerAddress: 100,
  socketsPerAddress: 100,
  addressHandshakesPerSecond: 10,
  addressHandshakeBurst: 100,
  connections: 10_000,
  handshakesPerSecond: 500,
  fragments: 16,
  bufferedChunks: 1_024,
  pendingPongs: 10,
  closeHandshakeTime: 3_000,
  jsonDepth: 32,
  jsonKeys: 1_000,
  jsonStringLength: 32_768,
  jsonArrayLength: 1_000,
  requestIdLength: 64,
  headersTime: 10_000,
  requestTime: 15_000,
  requestCheckInterval: 2_000,
};
