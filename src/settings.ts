import { isIP } from 'node:net';
import { faultsOf, shown } from './configuration-faults.js';

const fault = faultsOf('settings');

/**
 * The one table of all settings. A row defines the type, the default and the check of a setting; its comment is the text that an editor
 * shows. Specs compare docs/settings.md and docs/limits.md with it. Times are in milliseconds, sizes in bytes.
 */

/** One row of the table. */
interface Setting<Value> {
  readonly default: Value;
  /**
   * Completes and checks a given value.
   *
   * @throws ConfigurationError
   */
  readonly complete: (name: string, given: unknown) => Value;
}

/** The type of the values that a table describes. */
type Values<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> ? Value : never;
};

type Table = Readonly<Record<string, Setting<unknown>>>;

/** The name of a Unix socket's peer, which has no address; nginx uses this name too. */
export const unixPeer = 'unix:';

/** Timers and `ws` count in 32 bits; a larger number would mean "at once" to timers and "no limit" to `ws`. */
const largest = 2_147_483_647;

const secretNames = ['password', 'token', 'authorization', 'cookie', 'secret', 'credential', 'api_key', 'apikey'];

const limits = {
  /** Frames per second from one connection, including control frames. Default 50. */
  messagesPerSecond: count(50),
  /** Frames that one connection may send at once after a quiet time. Default 512. */
  messageBurst: count(512),
  /** Frames per second of one user, over all connections to this process; at least `messagesPerSecond`. Default 200. */
  userMessagesPerSecond: count(200),
  /** Frames that one user may send at once after a quiet time; at least `messageBurst`. Default 1 000. */
  userMessageBurst: count(1_000),
  /** Bytes per second from one connection, and at once after a quiet time; at least `maxPayload`. Default 262 144. */
  bytesPerSecond: count(262_144),
  /** Frames per second of one address, over all connections to this process; at least `messagesPerSecond`. Default 1 000. */
  addressMessagesPerSecond: count(1_000),
  /**
   * Bytes per second of one address, over all connections to this process; at least `bytesPerSecond`. JSON with many small values counts
   * for more than its bytes. Default 1 048 576.
   */
  addressBytesPerSecond: count(1_048_576),
  /** How long a connection above these rates stays unread before it is closed with 1013. Default 8 000. */
  pauseTime: count(8_000),
  /** Frames of one connection per minute that are answered 429, for any reason; one more closes it with 1013. Default 200. */
  throttledPerMinute: count(200),
  /** Frames per minute that are no valid request, or name no action or stream; one more closes with 1008. Default 20. */
  errorsPerMinute: count(20),
  /** Detached actions of one connection that may run at once. Default 16. */
  detachedActions: count(16),
  /** Requests of one connection that wait for earlier ones. Default 512. */
  waitingRequests: count(512),
  /** Estimated heap of one connection's waiting and running requests, in bytes. A single one may take more. Default 4 194 304. */
  requestBytes: count(4_194_304),
  /** Events and messages that wait for one consumer's permissions, observers and actions; one more closes with 1013. Default 10 000. */
  waitingEvents: count(10_000),
  /** Estimated heap of their texts, in bytes; more closes with 1013. A single text may take more. Default 16 777 216. */
  waitingEventBytes: count(16_777_216),
  /** Requests of one connection whose subscriptions last. Default 512. */
  subscriptions: count(512),
  /** Estimated heap of one connection's subscriptions with their kwargs, in bytes. Default 2 097 152. */
  subscriptionBytes: count(2_097_152),
  /** Groups of one connection, including those of its subscriptions. Default 1 024. */
  groups: count(1_024),
  /** Connections of one user to this process, including those that logged in later. Default 20. */
  connectionsPerUser: count(20),
  /** Connections of one address to this process; an IPv6 address counts as its /64. Default 100. */
  connectionsPerAddress: count(100),
  /**
   * Sockets of one address whose clients have not sent a complete request; one more closes the one that has waited longest. At least
   * `connectionsPerAddress`. Those of `trustedProxies` are not counted. Default 100.
   */
  socketsPerAddress: count(100),
  /** Like `socketsPerAddress`, for all addresses together. Default 1 000. */
  sockets: count(1_000),
  /** File descriptors that sockets leave free, for the database and files, if the system reports its limit. Default 64. */
  freeDescriptors: count(64),
  /** Handshakes per second from one address. Default 10. */
  addressHandshakesPerSecond: count(10),
  /** Handshakes that one address may begin at once after a quiet time. Default 100. */
  addressHandshakeBurst: count(100),
  /** Connections of this process. Default 10 000. */
  connections: count(10_000),
  /** Handshakes per second of this process, and at once after a quiet time. Default 500. */
  handshakesPerSecond: count(500),
  /** Fragments of one message; one more closes with 1008. Default 16. */
  fragments: count(16),
  /** Pieces in which one frame may arrive; more closes with 1008. Default 1 024. */
  bufferedChunks: count(1_024),
  /** Pongs that wait to be sent; one more ping cuts the socket. Default 10. */
  pendingPongs: count(10),
  /** How long a client may take to answer a close. Default 3 000. */
  closeHandshakeTime: count(3_000),
  /** Levels of objects and arrays in a frame. Default 32. */
  jsonDepth: count(32),
  /** Keys of one object in a frame. Default 1 000. */
  jsonKeys: count(1_000),
  /** Characters of one string or key in a frame. Default 32 768. */
  jsonStringLength: count(32_768),
  /** Elements of one array in a frame. Default 1 000. */
  jsonArrayLength: count(1_000),
  /** Characters of a request id. Default 64. */
  requestIdLength: count(64),
  /** How long the headers of a request to `listen`'s server may take. Default 10 000. */
  headersTime: count(10_000),
  /** How long a whole request to `listen`'s server may take. Default 15 000. */
  requestTime: count(15_000),
  /** How often `listen`'s server checks for requests that take too long. Default 2 000. */
  requestCheckInterval: count(2_000),
};

/** The limits of one client, one user, one address and the whole process. `docs/limits.md` says what happens at each. */
export interface Limits extends Values<typeof limits> {}

const outbound = {
  /** Above it a connection's requests and generators wait, and `latest` events are conflated. Default 65 536. */
  softLimit: count(65_536),
  /** Above it a connection is closed with 4408. Default 1 048 576. */
  hardLimit: count(1_048_576),
  /** The most bytes that wait for all connections together; above it the worst ones are closed with 4408. Default 268 435 456. */
  totalLimit: count(268_435_456),
  /** How long a frame may wait to leave before the connection is closed with 4408. Default 10 000. */
  timeLimit: count(10_000),
  /** Channels of a group that receive a message before other work has its turn. Default 250. */
  groupSlice: count(250),
};

/** How much data may wait for clients that read slowly. */
export interface OutboundSettings extends Values<typeof outbound> {}

const heartbeat = {
  /** How often each client is pinged. Default 25 000. */
  interval: count(25_000),
  /** How long a client may take to answer a ping before its socket is cut; at most `interval`. Default 10 000. */
  timeLimit: count(10_000),
  /** How long a connection may be without a frame in either direction before it is closed with 1000. Default false: for ever. */
  idleTimeLimit: countOrOff(),
  /** How long a client may take to send its first frame before it is closed with 1008. Default false: for ever. */
  silentTimeLimit: countOrOff(),
};

/** How dead and idle connections are found. */
export interface HeartbeatSettings extends Values<typeof heartbeat> {}

const drain = {
  /** How long connections are still served, so that the load balancer can notice the drain. Default 4 000. */
  delay: countFromZero(4_000),
  /** How long running requests may take to end. Default 10 000. */
  actionTimeLimit: count(10_000),
  /** Connections per second that get the drain frame. Default 400. */
  rate: count(400),
  /** The longest time over which the drain frames are spread, whatever the rate. Default 25 000. */
  spread: count(25_000),
  /** The longest `retry_after_ms`, unless the rate needs more. Default 3 000. */
  retrySpread: count(3_000),
  /** The longest time of a whole drain; the connections that are left are cut. Default 28 000. */
  timeLimit: count(28_000),
};

/** How `app.drain()` empties a process. */
export interface DrainSettings extends Values<typeof drain> {}

const log = {
  /**
   * Which actions get a line in the log: `all`, or `problems`: those that failed (5xx), were refused (401, 403, 429) or were slow; false
   * for none. With `all`, each refused delivery has a line too, and if `development` is true each subscription and each event. Default
   * `problems`; if `development` is true, `all`, or false while NODE_ENV is `test`.
   */
  actions: setting<'all' | 'problems' | false>(loggedActions(isDevelopmentRun()), checkLoggedActions),
  /** An action that takes this many milliseconds is slow, unless it is detached. Default 1 000. */
  slowActionTime: count(1_000),
  /** Fields whose name contains one of these, in any case, are written as "[redacted]". */
  redacted: setting<readonly string[]>(secretNames, checkNames),
};

/** Which requests are logged, and which fields are redacted. */
export interface LogSettings extends Values<typeof log> {}

const changeLog = {
  /**
   * Whether the log survives a crash of the database server. `unlogged` tables cost a sixth of the write-ahead log, stay out of replicas
   * and base backups, and are empty after a crash: then clients list again. Default `unlogged`.
   */
  durability: setting<'unlogged' | 'logged'>('unlogged', checkDurability),
  /** Minutes of changes in each of the log's eight tables; the latest six to seven tables are kept. Default 15. */
  slotMinutes: minutes(15),
  /**
   * Whether a connection of its own, outside of the pool, is notified of the commits of other processes. Set it to false if a pooler in
   * transaction mode is in front of the database: then the log is read every 50 ms while something is committed, otherwise twice a second,
   * and the default channel layer is that of one process. Default true.
   */
  listen: flag(true),
  /** How often the log is read if no notification reports a commit; less than half of a slot. Default 30 000. */
  pollInterval: count(30_000),
  /** How long a process may be behind the database before `/readyz` is 503. Default 5 000. */
  lagTimeLimit: count(5_000),
  /** Rows that are read at once; if there are more, they are skipped and clients list again. Default 50 000. */
  largestBatch: count(50_000),
  /** Bytes that are read at once; if there are more, they are skipped and clients list again. Default 67 108 864. */
  largestBatchBytes: count(67_108_864),
  /**
   * How long Signalbox tries again if the database fails, for example loses a connection, while the events of a change are made and
   * delivered. Later changes wait. After that it closes the connections that have missed an event with 1013, and clients list again. 0: it
   * tries once. Default 10 000.
   */
  retryTimeLimit: countFromZero(10_000),
  /** Bytes of one transaction's changes; above that the log names only the changed models. Default 16 777 216. */
  largestEntry: count(16_777_216),
  /**
   * Whether statements are prepared under a name, which saves planning them each time. Set it to false if a pooler in transaction mode,
   * which does not know such names, is in front of the database. Default true.
   */
  preparedStatements: flag(true),
};

/** How committed changes are kept and read. */
export interface ChangeLogSettings extends Values<typeof changeLog> {}

const table = {
  /** Whether an action that is not an async function runs in a transaction, unless its option `atomic` decides. Default true. */
  syncActionsAtomic: flag(true),
  /** Whether an async action runs in a transaction, unless its option `atomic` decides. Default false. */
  asyncActionsAtomic: flag(false),
  /** How long an action may run. Default 15 000. */
  actionTimeLimit: count(15_000),
  /** How long a detached action may run. Default 3 600 000. */
  detachedActionTimeLimit: count(3_600_000),
  /**
   * How long middleware, permissions and parameters may take to answer an upgrade before it is refused with 503. A scope that comes later
   * is disposed. Default 10 000.
   */
  handshakeTimeLimit: count(10_000),
  /** How long a ticket of `Tickets` is valid. Default 30 000. */
  ticketLifetime: count(30_000),
  /** The largest accepted frame; a larger one closes the socket with 1009. Default 65 536. */
  maxPayload: count(65_536),
  /** The largest answer of a view consumer's view; a larger one is an error. Default 1 048 576. */
  maxViewAnswer: count(1_048_576),
  /**
   * How long `app.close()` waits for clients to close before it cuts them, and then for the disconnect hooks of consumers. Default 1 000.
   */
  closeTimeout: count(1_000),
  /**
   * How long the channel layer may take to confirm that a message has arrived, or that this process has joined; after that the log has a
   * warning, and the process does not wait any longer. Default 10 000.
   */
  channelLayerTimeLimit: count(10_000),
  /**
   * How long the permissions' answers for a subscription stay valid if `@RevokedBy` declares what they depend on. The first event after
   * that asks again, because a change that the ORM does not report ends nothing by itself; 0 asks at each event. Default 30 000.
   */
  grantTimeLimit: countFromZero(30_000),
  /**
   * How long the database pool may be used up without handing out a connection, and without the database running a statement for it, before
   * `/livez` is 503: then only a restart gives the process its connections back. Default 60 000.
   */
  poolTimeLimit: count(60_000),
  /**
   * Number of new connections after which the process, once its event loop has been idle for a second, frees the memory of their
   * handshakes. The process stands still meanwhile; the log says for how long. Default false: never.
   */
  tidyAfterConnections: countOrOff(),
  /**
   * Which pages may open a socket from a browser: those of the host they connect to (`same`), any (`any`), or the listed origins
   * (`https://example.org`). Requests without an Origin header come from other clients and pass, but a session cookie does not count then.
   * Default `same`.
   */
  origins: setting<'same' | 'any' | readonly string[]>('same', checkOrigins),
  /** Whether an object that a permission refuses is answered 403 instead of 404, which reveals that it exists. Default false. */
  revealForbiddenObjects: flag(false),
  /**
   * Addresses and networks (`10.0.0.0/8`) of the proxies in front of this process, and `unix:` for those that connect by a Unix socket:
   * only their X-Forwarded-For, -Host and -Proto count. Default none.
   */
  trustedProxies: setting<readonly string[]>([], checkProxies),
  /** The limits of clients, users, addresses and the process. */
  limits: group<Limits>(limits, 'limit'),
  /** How much data may wait for clients that read slowly. */
  outbound: group<OutboundSettings>(outbound),
  /** How dead and idle connections are found. */
  heartbeat: group<HeartbeatSettings>(heartbeat),
  /** How `app.drain()` empties a process. */
  drain: group<DrainSettings>(drain),
  /** Which requests are logged, and which fields are redacted. */
  log: group<LogSettings>(log),
  /** How committed changes are kept and read. */
  changeLog: group<ChangeLogSettings>(changeLog),
  /**
   * Whether the log is written for developers: lines of text instead of JSON, and notes such as unknown kwargs. Default: unless NODE_ENV is
   * production.
   */
  development: flag(isDevelopmentRun()),
};

/** The settings of an application, all optional. Times are in milliseconds, sizes in bytes. */
export interface Settings extends Values<typeof table> {}

/** Settings that are groups of settings. */
type GroupName = 'limits' | 'outbound' | 'heartbeat' | 'drain' | 'log' | 'changeLog';

/** The settings that an application passes: any of them, and any of a group. */
export type GivenSettings = Partial<Omit<Settings, GroupName>> & {
  readonly [Name in GroupName]?: Partial<Settings[Name]>;
};

export const defaultSettings: Settings = defaultsOf(table);

/** @throws ConfigurationError for an unknown name or a value out of range */
export function completeSettings(given: GivenSettings = {}): Settings {
  if (!isFields(given)) throw faultsOf('createApp')('settings', `is ${shown(given)}.`, 'Give an object.');
  const completed = complete(table, given);
  const actions = given.log?.actions ?? loggedActions(completed.development);
  const settings = { ...completed, log: { ...completed.log, actions } };
  checkOrder('outbound', settings.outbound, 'softLimit', 'hardLimit');
  checkOrder('outbound', settings.outbound, 'hardLimit', 'totalLimit');
  checkOrder('drain', settings.drain, 'delay', 'timeLimit');
  // Clients that owe an answer are not pinged again.
  checkOrder('heartbeat', settings.heartbeat, 'timeLimit', 'interval');
  checkPolling(settings.changeLog);
  return settings;
}

// The kinds of rows

/** A whole number from 1. */
function count(value: number): Setting<number> {
  return setting(value, checkCount);
}

function countFromZero(value: number): Setting<number> {
  return setting(value, (name, given) => given === 0 || checkCount(name, given));
}

/** From 1 to a week. */
function minutes(value: number): Setting<number> {
  return setting(value, checkMinutes);
}

/** Off unless it is set. */
function countOrOff(): Setting<number | false> {
  return setting<number | false>(false, (name, given) => given === false || checkCount(name, given));
}

function flag(value: boolean): Setting<boolean> {
  return setting(value, (name, given) => {
    if (typeof given !== 'boolean') throw fault(name, `is ${shown(given)}.`, 'Give true or false.');
  });
}

function setting<Value>(value: Value, check: (name: string, given: Value) => unknown): Setting<Value> {
  const checked = (name: string, given: unknown): Value => {
    check(name, given as Value);
    return given as Value;
  };
  return { default: value, complete: checked };
}

function group<Group>(
  rows: { readonly [Name in keyof Group]: Setting<Group[Name]> },
  noun = 'setting',
): Setting<Group> {
  return {
    default: defaultsOf(rows) as Group,
    complete: (name, given = {}) => complete(rows, given, name, noun) as Group,
  };
}

function defaultsOf<Rows>(rows: Rows): Values<Rows> {
  return Object.fromEntries(Object.entries(rows as Table).map(([name, row]) => [name, row.default])) as Values<Rows>;
}

function complete<Rows>(rows: Rows, given: unknown, owner?: string, noun = 'setting'): Values<Rows> {
  if (!isFields(given)) throw fault(owner ?? 'settings', `is ${shown(given)}.`, 'Give an object.');
  const known = rows as Table;
  const completed = Object.entries(given).map(([name, value]) => {
    const member = owner === undefined ? name : `${owner}.${name}`;
    const row = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!row) throw fault(member, `is no ${noun}.`, `Known are ${Object.keys(known).join(', ')}.`);
    return [name, row.complete(member, value)];
  });
  return { ...defaultsOf(rows), ...Object.fromEntries(completed) };
}

// What is checked

/** Refuses limits that contradict each other: one of them would be broken silently. */
function checkOrder(group: 'outbound' | 'drain' | 'heartbeat', values: object, less: string, more: string): void {
  const [low, high] = [less, more].map((name) => Number(Reflect.get(values, name))) as [number, number];
  if (low <= high) return;
  const reason = `is ${low}, and ${group}.${more} is ${high}.`;
  throw fault(`${group}.${less}`, reason, `Give at most ${group}.${more}, or raise that.`);
}

/** Refuses a reader that reads less often than slots are emptied: it would miss the rows in them. */
function checkPolling({ pollInterval, slotMinutes }: ChangeLogSettings): void {
  const largest = slotMinutes * 30_000;
  if (pollInterval <= largest) return;
  const reason = `is ${pollInterval}, and changeLog.slotMinutes is ${slotMinutes}.`;
  throw fault(
    'changeLog.pollInterval',
    reason,
    `Give at most ${largest}, half of a slot, or raise changeLog.slotMinutes.`,
  );
}

function checkDurability(name: string, value: unknown): void {
  if (value === 'unlogged' || value === 'logged') return;
  throw fault(name, `is ${shown(value)}.`, 'Give "unlogged" or "logged".');
}

function checkMinutes(name: string, value: unknown): void {
  if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= 10_080) return;
  throw fault(name, `is ${shown(value)}.`, 'Give a whole number from 1 to 10080, which is a week.');
}

function checkLoggedActions(name: string, value: unknown): void {
  if (value === false || value === 'all' || value === 'problems') return;
  throw fault(name, `is ${shown(value)}.`, 'Give "all", "problems" or false.');
}

function checkNames(name: string, value: unknown): void {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')) return;
  throw fault(name, `is ${shown(value)}.`, 'Give a list of names such as "password".');
}

function checkProxies(name: string, proxies: unknown): void {
  const remedy = 'Give addresses, networks such as "10.0.0.0/8", or "unix:" for Unix sockets.';
  checkList(name, proxies, (proxy) => proxy === unixPeer || isNetwork(proxy), remedy);
}

function isNetwork(text: unknown): boolean {
  const [, address = '', prefix = '0'] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(String(text)) ?? [];
  const version = isIP(address);
  return typeof text === 'string' && version !== 0 && Number(prefix) <= (version === 4 ? 32 : 128);
}

function checkOrigins(name: string, origins: unknown): void {
  if (origins === 'same' || origins === 'any') return;
  checkList(name, origins, isOrigin, 'Give "same", "any" or origins such as "https://example.org".');
}

function checkList(name: string, given: unknown, isValid: (one: unknown) => boolean, remedy: string): void {
  if (!Array.isArray(given)) throw fault(name, `is ${shown(given)}.`, remedy);
  for (const one of given) if (!isValid(one)) throw fault(name, `has ${shown(one)}.`, remedy);
}

function isOrigin(text: unknown): boolean {
  // URL treats a star as an ordinary character, but no browser sends one.
  return typeof text === 'string' && !text.includes('*') && URL.canParse(text) && new URL(text).origin === text;
}

function checkCount(name: string, value: unknown): void {
  if (!isCount(value)) throw fault(name, `is ${shown(value)}.`, `Give a whole number from 1 to ${largest}.`);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= largest;
}

function isFields(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether NODE_ENV is not production; by default it is not set. */
function isDevelopmentRun(): boolean {
  return process.env.NODE_ENV !== 'production';
}

/** Whether NODE_ENV is `test`, which test runners or their users set. */
export function isTestRun(): boolean {
  return process.env.NODE_ENV === 'test';
}

/** The default of the setting `log.actions`. The output of specs has no line per request. */
function loggedActions(isDevelopment: boolean): 'all' | 'problems' | false {
  if (!isDevelopment) return 'problems';
  return isTestRun() ? false : 'all';
}
