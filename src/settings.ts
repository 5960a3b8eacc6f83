import { ConfigurationError } from './errors.js';

/** What an application may set, all of it optional. Times are in milliseconds, sizes in bytes. */
export interface Settings {
  /** Whether an action that is no async function runs in a transaction unless it says. Default true. */
  readonly syncActionsAtomic: boolean;
  /** Whether an async action runs in a transaction unless it says. Default false. */
  readonly asyncActionsAtomic: boolean;
  /** How long an action may run. Default 30 000. */
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
  /** Notes for developers in the log, such as kwargs that nobody asked for. Default: unless NODE_ENV is production. */
  readonly development: boolean;
}

export const defaultSettings: Settings = {
  syncActionsAtomic: true,
  asyncActionsAtomic: false,
  actionTimeLimit: 30_000,
  detachedActionTimeLimit: 3_600_000,
  handshakeTimeLimit: 10_000,
  ticketLifetime: 30_000,
  maxPayload: 65_536,
  closeTimeout: 1_000,
  origins: 'same',
  revealForbiddenObjects: false,
  development: process.env.NODE_ENV !== 'production',
};

/** Timers and `ws` count in 32 bits; a larger number would mean "at once" to the ones and "no limit" to the other. */
const largest = 2_147_483_647;

/** @throws ConfigurationError where a name is unknown or a value is out of range */
export function completeSettings(given: Partial<Settings> = {}): Settings {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(defaultSettings, name)) throw fault(name, 'is no setting.', `Known are ${known()}.`);
  }
  const settings = { ...defaultSettings, ...given };
  for (const name of [
    'actionTimeLimit',
    'detachedActionTimeLimit',
    'handshakeTimeLimit',
    'ticketLifetime',
    'maxPayload',
    'closeTimeout',
  ] as const) {
    if (!isCount(settings[name])) {
      throw fault(name, `is ${shown(settings[name])}.`, `Give a whole number from 1 to ${largest}.`);
    }
  }
  for (const name of ['syncActionsAtomic', 'asyncActionsAtomic', 'revealForbiddenObjects', 'development'] as const) {
    if (typeof settings[name] !== 'boolean') {
      throw fault(name, `is ${shown(settings[name])}.`, 'Give true or false.');
    }
  }
  checkOrigins(settings.origins);
  return settings;
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
