import { isIP } from 'node:net';
import { faultsOf, shown } from './configuration-faults.js';

const fault = faultsOf('settings');

/*
 * The one table of all settings. A row gives the type, the default and the check of a setting, and its comment the text that an
 * editor shows; specs hold docs/settings.md and docs/limits.md against it. Times are in milliseconds, sizes in bytes.
 */

/** One row of the table. */
interface Setting<Value> {
  readonly default: Value;
  /**
   * Completes and checks what the application gives.
   *
   * @throws ConfigurationError
   */
  readonly complete: (name: string, given: unknown) => Value;
}

/** The values that a table describes. */
type Values<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> ? Value : never;
};

type Table = Readonly<Record<string, Setting<unknown>>>;

/** The peer of a Unix socket, which has no address. nginx calls it so too. */
export const unixPeer = 'unix:';

/** Timers and `ws` count in 32 bits; a larger number would mean "at once" to the ones and "no limit" to the other. */
const largest = 2_147_483_647;

const secretNames = ['password', 'token', 'authorization', 'cookie', 'secret', 'credential', 'api_key', 'apikey'];

const limits = {
  /** Frames a second from one connection, control frames among them. Default 50. */
  messagesPerSecond: count(50),
  /** Frames that one connection may send at once after it was quiet. Default 512. */
  messageBurst: count(512),
  /** Frames a second of one user, through all connections to this process; never less than `messagesPerSecond`. Default 200. */
  userMessagesPerSecond: count(200),
  /** Frames that one user may send at once after it was quiet; never less than `messageBurst`. Default 1 000. */
  userMessageBurst: count(1_000),
  /** Bytes a second from one connection, and at once after it was quiet; never less than `maxPayload`. Default 262 144. */
  bytesPerSecond: count(262_144),
  /** Frames a second of one address, through all connections to this process; never less than `messagesPerSecond`. Default 1 000. */
  addressMessagesPerSecond: count(1_000),
  /**
   * Bytes a second of one address, through all connections to this process; never less than `bytesPerSecond`. JSON of many small
   * values counts for more than its bytes. Default 1 048 576.
   */
  addressBytesPerSecond: count(1_048_576),
  /** How long a connection above these rates may stay unread; then it is closed with 1013. Default 8 000. */
  pauseTime: count(8_000),
  /** Frames of one connection in a minute that are answered 429, whatever the reason; one more closes it with 1013. Default 200. */
  throttledPerMinute: count(200),
  /** Frames that are no request, or name no action or stream, in a minute; one more closes with 1008. Default 20. */
  errorsPerMinute: count(20),
  /** Detached actions that one connection may have under way. Default 16. */
  detachedActions: count(16),
  /** Requests of one connection that wait for those before them. Default 512. */
  waitingRequests: count(512),
  /** Heap of one connection's requests that wait or run, in bytes, as it is estimated. One that is alone may take more. Default 4 194 304. */
  requestBytes: count(4_194_304),
  /** Events and messages that wait for one consumer's permissions, observers and actions; one more closes with 1013. Default 10 000. */
  waitingEvents: count(10_000),
  /** Bytes of heap of the texts of these, as they are estimated; more close with 1013. A single one may have any number. Default 16 777 216. */
  waitingEventBytes: count(16_777_216),
  /** Requests of one connection whose subscriptions last. Default 512. */
  subscriptions: count(512),
  /** Heap of one connection's subscriptions with their kwargs, in bytes, as it is estimated. Default 2 097 152. */
  subscriptionBytes: count(2_097_152),
  /** Groups of one connection, those of its subscriptions among them. Default 1 024. */
  groups: count(1_024),
  /** Connections of one user to this process, those that logged in later among them. Default 20. */
  connectionsPerUser: count(20),
  /** Connections of one address to this process; an IPv6 address counts as its /64. Default 100. */
  connectionsPerAddress: count(100),
  /**
   * Sockets of one address whose clients owe a request, or the rest of one; where there is one more, the one that has waited longest
   * is cut. Never less than `connectionsPerAddress`. Those of `trustedProxies` are not counted. Default 100.
   */
  socketsPerAddress: count(100),
  /** As `socketsPerAddress`, for all addresses together. Default 1 000. */
  sockets: count(1_000),
  /** File descriptors that sockets leave free, for the database and files, where the system tells how many there are. Default 64. */
  freeDescriptors: count(64),
  /** Handshakes a second from one address. Default 10. */
  addressHandshakesPerSecond: count(10),
  /** Handshakes that one address may begin at once after it was quiet. Default 100. */
  addressHandshakeBurst: count(100),
  /** Connections of this process. Default 10 000. */
  connections: count(10_000),
  /** Handshakes a second of this process, and at once after it was quiet. Default 500. */
  handshakesPerSecond: count(500),
  /** Fragments of one message; one more closes with 1008. Default 16. */
  fragments: count(16),
  /** Pieces in which one frame may arrive before it is whole; more close with 1008. Default 1 024. */
  bufferedChunks: count(1_024),
  /** Pongs that wait to be sent; a ping beyond them cuts the socket. Default 10. */
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
  /** How often `listen`'s server looks for requests that take too long. Default 2 000. */
  requestCheckInterval: count(2_000),
};

/**
 * How much one client, one user, one address and the whole process may ask for. `docs/limits.md` says what happens at each.
 */
export interface Limits extends Values<typeof limits> {}

const outbound = {
  /** Above it a connection's requests and generators wait, and `latest` events are conflated. Default 65 536. */
  softLimit: count(65_536),
  /** Above it a connection is closed with 4408. Default 1 048 576. */
  hardLimit: count(1_048_576),
  /** What all connections may have waiting; above it the worst ones are closed with 4408. Default 268 435 456. */
  totalLimit: count(268_435_456),
  /** How long a frame may wait to leave; then the connection is closed with 4408. Default 10 000. */
  timeLimit: count(10_000),
  /** To how many channels of a group a message is handed before other work has its turn. Default 250. */
  groupSlice: count(250),
};

/** How much may wait for clients that read slowly. */
export interface OutboundSettings extends Values<typeof outbound> {}

const heartbeat = {
  /** How often each client is pinged. Default 25 000. */
  interval: count(25_000),
  /** How long it may take to answer a ping, at most `interval`; then its socket is cut. Default 10 000. */
  timeLimit: count(10_000),
  /** How long a connection may live without a frame in either direction; then it is closed with 1000. Default false: for ever. */
  idleTimeLimit: countOrOff(),
  /** How long a client may take for its first frame; then it is closed with 1008. Default false: for ever. */
  silentTimeLimit: countOrOff(),
};

/** How dead and idle connections are found. */
export interface HeartbeatSettings extends Values<typeof heartbeat> {}

const drain = {
  /** How long connections are served as before, so that the balancer can notice. Default 4 000. */
  delay: countFromZero(4_000),
  /** How long requests under way may take to end. Default 10 000. */
  actionTimeLimit: count(10_000),
  /** Connections that get the drain frame in a second. Default 400. */
  rate: count(400),
  /** The longest time over which that is spread, whatever the rate. Default 25 000. */
  spread: count(25_000),
  /** The longest `retry_after_ms`, unless the rate asks for more. Default 3 000. */
  retrySpread: count(3_000),
  /** The longest time of a whole drain; connections that are left then are cut. Default 28 000. */
  timeLimit: count(28_000),
};

/** How `app.drain()` empties a process. */
export interface DrainSettings extends Values<typeof drain> {}

const log = {
  /**
   * Which actions get a line in the log: `all`, or `problems`, which are those that failed (5xx), were refused (401, 403, 429) or
   * were slow; false for none. With `all`, each refused delivery has a line too, and where `development` is true each
   * subscription and each event. Default `problems`; where `development` is true, `all`, or false while NODE_ENV is `test`.
   */
  actions: setting<'all' | 'problems' | false>(loggedActions(isDevelopmentRun()), checkLoggedActions),
  /** An action that takes this many milliseconds is slow, unless it is detached. Default 1 000. */
  slowActionTime: count(1_000),
  /** Fields whose name contains one of these, in any case, are written as "[redacted]". */
  redacted: setting<readonly string[]>(secretNames, checkNames),
};

/** What is written down of every request, and what of it is not. */
export interface LogSettings extends Values<typeof log> {}

const changeLog = {
  /**
   * Whether what was committed stands in the log after a crash of the database server too. `unlogged` tables cost a sixth of the
   * write-ahead log, stay out of replicas and base backups, and are empty after a crash: clients list again then. Default `unlogged`.
   */
  durability: setting<'unlogged' | 'logged'>('unlogged', checkDurability),
  /** Minutes of changes in each of the log's eight tables; the oldest six to seven of them are kept. Default 15. */
  slotMinutes: minutes(15),
  /**
   * Whether a connection of its own, outside of the pool, hears at once what other processes commit. Set it to false where a pooler in
   * transaction mode stands before the database: then the log is read every 50 ms while something is committed, else twice a second, and the
   * default channel layer is that of one process. Default true.
   */
  listen: flag(true),
  /** How often the log is read where no notification says that it has grown; less than half of a slot. Default 30 000. */
  pollInterval: count(30_000),
  /** For how long a process may be behind the database until `/readyz` is 503. Default 5 000. */
  lagTimeLimit: count(5_000),
  /** Rows that are read at once; where there are more, they are passed over and clients list again. Default 50 000. */
  largestBatch: count(50_000),
  /** Bytes that are read at once; where there are more, they are passed over and clients list again. Default 67 108 864. */
  largestBatchBytes: count(67_108_864),
  /**
   * For how long Signalbox tries again where the database fails while it makes and delivers the events of a change: a connection is lost, say.
   * Later changes wait. Then it closes the connections that have missed an event with 1013, and clients list again. 0: it tries once. Default 10 000.
   */
  retryTimeLimit: countFromZero(10_000),
  /** Bytes of one transaction's changes; beyond them the log says only which models changed. Default 16 777 216. */
  largestEntry: count(16_777_216),
  /**
   * Whether statements are prepared under a name, which saves planning them each time. Set it to false where a pooler in transaction
   * mode, which does not know such names, stands before the database. Default true.
   */
  preparedStatements: flag(true),
};

/** How committed changes are kept and read. */
export interface ChangeLogSettings extends Values<typeof changeLog> {}

const table = {
  /** Whether an action that is no async function runs in a transaction unless it says. Default true. */
  syncActionsAtomic: flag(true),
  /** Whether an async action runs in a transaction unless it says. Default false. */
  asyncActionsAtomic: flag(false),
  /** How long an action may run. Default 15 000. */
  actionTimeLimit: count(15_000),
  /** How long a detached action may run. Default 3 600 000. */
  detachedActionTimeLimit: count(3_600_000),
  /**
   * How long it may take to answer an upgrade: middleware, permissions, parameters; then 503. A scope that comes later is
   * disposed of. Default 10 000.
   */
  handshakeTimeLimit: count(10_000),
  /** How long a ticket of `Tickets` is valid. Default 30 000. */
  ticketLifetime: count(30_000),
  /** The largest frame that is accepted; a larger one closes the socket with 1009. Default 65 536. */
  maxPayload: count(65_536),
  /** The largest answer of a view behind the socket; a larger one is an error. Default 1 048 576. */
  maxViewAnswer: count(1_048_576),
  /**
   * How long `app.close()` waits for clients to say goodbye before it cuts them, and then once more for what consumers do
   * at their end. Default 1 000.
   */
  closeTimeout: count(1_000),
  /**
   * How long the channel layer may take to say that a message has arrived, or that this process has joined; then it is not
   * waited for any longer, with a warning in the log. Default 10 000.
   */
  channelLayerTimeLimit: count(10_000),
  /**
   * How long what the permissions said of a subscription holds where `@RevokedBy` says what it depends on: the first event
   * afterwards asks again, because a change that the ORM does not report ends nothing by itself; 0 asks at each event. Default 30 000.
   */
  grantTimeLimit: countFromZero(30_000),
  /**
   * How long the pool of the database may be used up without giving out a connection, and without the database running a
   * statement for it; then `/livez` is 503, because nothing but a restart gives the process its connections back. Default 60 000.
   */
  poolTimeLimit: count(60_000),
  /**
   * Number of new connections after which, once the event loop has been idle for a second, the process gives the memory of their
   * handshakes back. Everything stands still meanwhile; the log says for how long. Default false: never.
   */
  tidyAfterConnections: countOrOff(),
  /**
   * Which pages may open a socket from a browser: those of the host they connect to (`same`), any (`any`), or the listed
   * origins (`https://example.org`). Requests without an Origin header come from no browser and pass; a session cookie does not count then. Default `same`.
   */
  origins: setting<'same' | 'any' | readonly string[]>('same', checkOrigins),
  /**
   * Whether an object that a permission refuses is answered 403 instead of 404, which tells that it exists. Default false.
   */
  revealForbiddenObjects: flag(false),
  /**
   * Addresses of the proxies before this process, networks of them (`10.0.0.0/8`), and `unix:` for those that come over a Unix
   * socket: only what they say in X-Forwarded-For, -Host and -Proto is believed. Default none.
   */
  trustedProxies: setting<readonly string[]>([], checkProxies),
  /** How much clients may ask for. */
  limits: group<Limits>(limits, 'limit'),
  /** How much may wait for clients that read slowly. */
  outbound: group<OutboundSettings>(outbound),
  /** How dead and idle connections are found. */
  heartbeat: group<HeartbeatSettings>(heartbeat),
  /** How `app.drain()` empties a process. */
  drain: group<DrainSettings>(drain),
  /** What is written down of every request, and what of it is not. */
  log: group<LogSettings>(log),
  /** How committed changes are kept and read. */
  changeLog: group<ChangeLogSettings>(changeLog),
  /**
   * Whether the log is written for developers: lines of text instead of JSON, and notes such as kwargs that no action asked for.
   * Default: unless NODE_ENV is production.
   */
  development: flag(isDevelopmentRun()),
};

/** What an application may set, all of it optional. Times are in milliseconds, sizes in bytes. */
export interface Settings extends Values<typeof table> {}

/** Settings that are settings again. */
type GroupName = 'limits' | 'outbound' | 'heartbeat' | 'drain' | 'log' | 'changeLog';

/** What an application writes: any of the settings, and any of a group. */
export type GivenSettings = Partial<Omit<Settings, GroupName>> & {
  readonly [Name in GroupName]?: Partial<Settings[Name]>;
};

export const defaultSettings: Settings = defaultsOf(table);

/** @throws ConfigurationError where a name is unknown or a value is out of range */
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

/** If two limits contradicted each other, one would be broken silently. */
function checkOrder(group: 'outbound' | 'drain' | 'heartbeat', values: object, less: string, more: string): void {
  const [low, high] = [less, more].map((name) => Number(Reflect.get(values, name))) as [number, number];
  if (low <= high) return;
  const reason = `is ${low}, and ${group}.${more} is ${high}.`;
  throw fault(`${group}.${less}`, reason, `Give at most ${group}.${more}, or raise that.`);
}

/** A reader that reads less often than slots are emptied would miss what was in them. */
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
  // A star is a sign like any other to URL, and no browser sends one.
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

/** Node's own default of NODE_ENV is none. */
function isDevelopmentRun(): boolean {
  return process.env.NODE_ENV !== 'production';
}

/** Test runners set this variable, or their users do. */
export function isTestRun(): boolean {
  return process.env.NODE_ENV === 'test';
}

/** The default of the setting `log.actions`. The output of specs is no place for a line per request. */
function loggedActions(isDevelopment: boolean): 'all' | 'problems' | false {
  if (!isDevelopment) return 'problems';
  return isTestRun() ? false : 'all';
}
