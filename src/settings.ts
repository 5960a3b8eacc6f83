import { isIP } from 'node:net';
import { ConfigurationError } from './errors.js';
import { defaultLimits, type Limits } from './limits.js';
import {
  type DrainSettings,
  defaultDrain,
  defaultHeartbeat,
  defaultLog,
  defaultOutbound,
  type HeartbeatSettings,
  type LogSettings,
  type OutboundSettings,
} from './server-settings.js';

/** What an application may set, all of it optional. Times are in milliseconds, sizes in bytes. */
export interface Settings {
  /** Whether an action that is no async function runs in a transaction unless it says. Default true. */
  readonly syncActionsAtomic: boolean;
  /** Whether an async action runs in a transaction unless it says. Default false. */
  readonly asyncActionsAtomic: boolean;
  /** How long an action may run. Default 15 000. */
  readonly actionTimeLimit: number;
  /** How long a detached action may run. Default 3 600 000. */
  readonly detachedActionTimeLimit: number;
  /**
   * How long it may take to answer an upgrade: middleware, permissions, parameters; then 503. A scope that comes later is
   * disposed of. Default 10 000.
   */
  readonly handshakeTimeLimit: number;
  /** How long a ticket of `Tickets` is valid. Default 30 000. */
  readonly ticketLifetime: number;
  /** The largest frame that is accepted; a larger one closes the socket with 1009. Default 65 536. */
  readonly maxPayload: number;
  /** The largest answer of a view behind the socket; a larger one is an error. Default 1 048 576. */
  readonly maxViewAnswer: number;
  /**
   * How long `app.close()` waits for clients to say goodbye before it cuts them, and then once more for what consumers do
   * at their end. Default 1 000.
   */
  readonly closeTimeout: number;
  /**
   * How long the channel layer may take to say that a message has arrived, or that this process has joined; then it is not
   * waited for any longer, with a warning in the log. Default 10 000.
   */
  readonly channelLayerTimeLimit: number;
  /**
   * How long the pool of the database may be used up without anybody being given a connection, and without the database running a
   * statement for it; then `/livez` is 503, because nothing but a restart gives the process its connections back. Default 60 000.
   */
  readonly poolTimeLimit: number;
  /**
   * Which pages may open a socket from a browser: those of the host they connect to (`same`), any (`any`), or the listed
   * origins (`https://example.org`). Requests without an Origin header come from no browser and pass; a session cookie does not count then. Default `same`.
   */
  readonly origins: 'same' | 'any' | readonly string[];
  /**
   * Whether an object that a permission refuses is answered 403 instead of 404, which tells that it exists. Default false.
   */
  readonly revealForbiddenObjects: boolean;
  /**
   * Addresses of the proxies before this process, and networks of them (`10.0.0.0/8`): only what they say in
   * X-Forwarded-For is believed. Default none.
   */
  readonly trustedProxies: readonly string[];
  /** How much clients may ask for. */
  readonly limits: Limits;
  /** How much may wait for clients that read slowly. */
  readonly outbound: OutboundSettings;
  /** How dead and idle connections are found. */
  readonly heartbeat: HeartbeatSettings;
  /** How `app.drain()` empties a process. */
  readonly drain: DrainSettings;
  /** What is written down of every request, and what of it is not. */
  readonly log: LogSettings;
  /** Notes for developers in the log, such as kwargs that nobody asked for. Default: unless NODE_ENV is production. */
  readonly development: boolean;
}

/** Settings that are settings again. */
type GroupName = 'limits' | 'outbound' | 'heartbeat' | 'drain' | 'log';

/** What an application writes: any of the settings, and any of a group. */
export type GivenSettings = Partial<Omit<Settings, GroupName>> & {
  readonly [Name in GroupName]?: Partial<Settings[Name]>;
};

export const defaultSettings: Settings = {
  syncActionsAtomic: true,
  asyncActionsAtomic: false,
  actionTimeLimit: 15_000,
  detachedActionTimeLimit: 3_600_000,
  handshakeTimeLimit: 10_000,
  ticketLifetime: 30_000,
  maxPayload: 65_536,
  maxViewAnswer: 1_048_576,
  closeTimeout: 1_000,
  channelLayerTimeLimit: 10_000,
  poolTimeLimit: 60_000,
  origins: 'same',
  revealForbiddenObjects: false,
  trustedProxies: [],
  limits: defaultLimits,
  outbound: defaultOutbound,
  heartbeat: defaultHeartbeat,
  drain: defaultDrain,
  log: defaultLog,
  development: process.env.NODE_ENV !== 'production',
};

/** Timers and `ws` count in 32 bits; a larger number would mean "at once" to the ones and "no limit" to the other. */
const largest = 2_147_483_647;

/** @throws ConfigurationError where a name is unknown or a value is out of range */
export function completeSettings(given: GivenSettings = {}): Settings {
  if (!isFields(given)) throw fault('settings', `is ${shown(given)}.`, 'Give an object.', 'createApp');
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(defaultSettings, name)) throw fault(name, 'is no setting.', `Known are ${known()}.`);
  }
  const isDevelopment = given.development ?? defaultSettings.development;
  const settings = {
    ...defaultSettings,
    ...given,
    limits: completeLimits(given.limits),
    outbound: completeGroup('outbound', given.outbound),
    heartbeat: completeGroup('heartbeat', given.heartbeat),
    drain: completeGroup('drain', given.drain),
    log: completeGroup('log', { actions: isDevelopment ? false : 'info', ...given.log }),
  };
  for (const name of [
    'actionTimeLimit',
    'detachedActionTimeLimit',
    'handshakeTimeLimit',
    'ticketLifetime',
    'maxPayload',
    'maxViewAnswer',
    'closeTimeout',
    'channelLayerTimeLimit',
    'poolTimeLimit',
  ] as const) {
    checkCount(name, settings[name]);
  }
  for (const name of ['syncActionsAtomic', 'asyncActionsAtomic', 'revealForbiddenObjects', 'development'] as const) {
    if (typeof settings[name] !== 'boolean') {
      throw fault(name, `is ${shown(settings[name])}.`, 'Give true or false.');
    }
  }
  checkOrder('outbound', settings.outbound, 'softLimit', 'hardLimit');
  checkOrder('outbound', settings.outbound, 'hardLimit', 'totalLimit');
  checkOrder('drain', settings.drain, 'delay', 'timeLimit');
  checkOrigins(settings.origins);
  checkProxies(settings.trustedProxies);
  return settings;
}

function completeLimits(given: Partial<Limits> = {}): Limits {
  if (!isFields(given)) throw fault('limits', `is ${shown(given)}.`, 'Give an object.');
  for (const [name, value] of Object.entries(given)) {
    const known = Object.keys(defaultLimits).join(', ');
    if (!Object.hasOwn(defaultLimits, name)) throw fault(`limits.${name}`, 'is no limit.', `Known are ${known}.`);
    checkCount(`limits.${name}`, value);
  }
  return { ...defaultLimits, ...given };
}

function completeGroup<Name extends Exclude<GroupName, 'limits'>>(
  name: Name,
  given: Partial<Settings[Name]> = {},
): Settings[Name] {
  const defaults = defaultSettings[name];
  if (!isFields(given)) throw fault(name, `is ${shown(given)}.`, 'Give an object.');
  for (const [member, value] of Object.entries(given)) {
    const known = Object.keys(defaults).join(', ');
    if (!Object.hasOwn(defaults, member)) throw fault(`${name}.${member}`, 'is no setting.', `Known are ${known}.`);
    checkMember(`${name}.${member}`, value);
  }
  return { ...defaults, ...given };
}

/** Of two that contradict each other one would be broken silently. */
function checkOrder(group: 'outbound' | 'drain', values: object, less: string, more: string): void {
  const [low, high] = [less, more].map((name) => Number(Reflect.get(values, name))) as [number, number];
  if (low <= high) return;
  const reason = `is ${low}, and ${group}.${more} is ${high}.`;
  throw fault(`${group}.${less}`, reason, `Give at most ${group}.${more}, or raise that.`);
}

function checkMember(name: string, value: unknown): void {
  if (name === 'drain.delay' && value === 0) return;
  if (/^heartbeat\.(idle|silent)TimeLimit$/.test(name) && value === false) return;
  if (name === 'log.actions') checkLogLevel(name, value);
  else if (name === 'log.redacted') checkNames(name, value);
  else checkCount(name, value);
}

function checkLogLevel(name: string, value: unknown): void {
  if (value === false || value === 'debug' || value === 'info') return;
  throw fault(name, `is ${shown(value)}.`, 'Give "debug", "info" or false.');
}

function checkNames(name: string, value: unknown): void {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')) return;
  throw fault(name, `is ${shown(value)}.`, 'Give a list of names such as "password".');
}

function checkProxies(proxies: Settings['trustedProxies']): void {
  const remedy = 'Give addresses and networks such as "10.0.0.0/8".';
  if (!Array.isArray(proxies)) throw fault('trustedProxies', `is ${shown(proxies)}.`, remedy);
  for (const proxy of proxies) {
    if (!isNetwork(proxy)) throw fault('trustedProxies', `has ${shown(proxy)}.`, remedy);
  }
}

function isNetwork(text: unknown): boolean {
  const [, address = '', prefix = '0'] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(String(text)) ?? [];
  const version = isIP(address);
  return typeof text === 'string' && version !== 0 && Number(prefix) <= (version === 4 ? 32 : 128);
}

function checkOrigins(origins: Settings['origins']): void {
  if (origins === 'same' || origins === 'any') return;
  const remedy = 'Give "same", "any" or origins such as "https://example.org".';
  if (!Array.isArray(origins)) throw fault('origins', `is ${shown(origins)}.`, remedy);
  for (const origin of origins) {
    if (!isOrigin(origin)) throw fault('origins', `has ${shown(origin)}.`, remedy);
  }
}

function isOrigin(text: unknown): boolean {
  return typeof text === 'string' && URL.canParse(text) && new URL(text).origin === text;
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

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : String(JSON.stringify(value));
}

function known(): string {
  return Object.keys(defaultSettings).join(', ');
}

function fault(member: string, reason: string, remedy: string, owner = 'settings'): ConfigurationError {
  return new ConfigurationError({ class: owner, member, reason, remedy });
}
