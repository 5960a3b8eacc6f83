import { isIP } from 'node:net';
import { ConfigurationError } from './errors.js';
import { defaultLimits, type Limits } from './limits.js';

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
   * Which pages may open a socket from a browser: those of the host they connect to (`same`), any (`any`), or the listed
   * origins (`https://example.org`). Requests without an Origin header come from no browser and pass. Default `same`.
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
  /** Notes for developers in the log, such as kwargs that nobody asked for. Default: unless NODE_ENV is production. */
  readonly development: boolean;
}

/** What an application writes: any of the settings, and any of the limits. */
export type GivenSettings = Partial<Omit<Settings, 'limits'>> & { readonly limits?: Partial<Limits> };

export const defaultSettings: Settings = {
  syncActionsAtomic: true,
  asyncActionsAtomic: false,
  actionTimeLimit: 15_000,
  detachedActionTimeLimit: 3_600_000,
  maxPayload: 65_536,
  maxViewAnswer: 1_048_576,
  closeTimeout: 1_000,
  origins: 'same',
  revealForbiddenObjects: false,
  trustedProxies: [],
  limits: defaultLimits,
  development: process.env.NODE_ENV !== 'production',
};

/** Timers and `ws` count in 32 bits; a larger number would mean "at once" to the ones and "no limit" to the other. */
const largest = 2_147_483_647;

/** @throws ConfigurationError where a name is unknown or a value is out of range */
export function completeSettings(given: GivenSettings = {}): Settings {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(defaultSettings, name)) throw fault(name, 'is no setting.', `Known are ${known()}.`);
  }
  const settings = { ...defaultSettings, ...given, limits: completeLimits(given.limits) };
  for (const name of [
    'actionTimeLimit',
    'detachedActionTimeLimit',
    'maxPayload',
    'maxViewAnswer',
    'closeTimeout',
  ] as const) {
    checkCount(name, settings[name]);
  }
  for (const name of ['syncActionsAtomic', 'asyncActionsAtomic', 'revealForbiddenObjects', 'development'] as const) {
    if (typeof settings[name] !== 'boolean') {
      throw fault(name, `is ${shown(settings[name])}.`, 'Give true or false.');
    }
  }
  checkOrigins(settings.origins);
  checkProxies(settings.trustedProxies);
  return settings;
}

function completeLimits(given: Partial<Limits> = {}): Limits {
  if (typeof given !== 'object' || given === null) throw fault('limits', `is ${shown(given)}.`, 'Give an object.');
  for (const [name, value] of Object.entries(given)) {
    const known = Object.keys(defaultLimits).join(', ');
    if (!Object.hasOwn(defaultLimits, name)) throw fault(`limits.${name}`, 'is no limit.', `Known are ${known}.`);
    checkCount(`limits.${name}`, value);
  }
  return { ...defaultLimits, ...given };
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

function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : String(JSON.stringify(value));
}

function known(): string {
  return Object.keys(defaultSettings).join(', ');
}

function fault(member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'settings', member, reason, remedy });
}
