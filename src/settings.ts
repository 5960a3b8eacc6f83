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
  /** The largest frame that is accepted; a larger one closes the socket with 1009. Default 65 536. */
  readonly maxPayload: number;
  /** How long `app.close()` waits for clients to say goodbye before it cuts them. Default 1 000. */
  readonly closeTimeout: number;
  /**
   * Which pages may open a socket from a browser: those of the host they connect to (`same`), any (`any`), or the listed
   * origins (`https://example.org`). Requests without an Origin header come from no browser and pass. Default `same`.
   */
  readonly origins: 'same' | 'any' | readonly string[];
  /** Notes for developers in the log, such as kwargs that nobody asked for. Default: unless NODE_ENV is production. */
  readonly development: boolean;
}

export const defaultSettings: Settings = {
  syncActionsAtomic: true,
  asyncActionsAtomic: false,
  actionTimeLimit: 30_000,
  detachedActionTimeLimit: 3_600_000,
  maxPayload: 65_536,
  closeTimeout: 1_000,
  origins: 'same',
  development: process.env.NODE_ENV !== 'production',
};

/** @throws ConfigurationError where a name is unknown or a value is out of range */
export function completeSettings(given: Partial<Settings> = {}): Settings {
  for (const name of Object.keys(given)) {
    if (!(name in defaultSettings)) throw fault(name, 'is no setting.', `Known are ${known()}.`);
  }
  const settings = { ...defaultSettings, ...given };
  for (const name of ['actionTimeLimit', 'detachedActionTimeLimit', 'maxPayload', 'closeTimeout'] as const) {
    if (!(Number.isFinite(settings[name]) && settings[name] > 0)) {
      throw fault(name, `is ${settings[name]}.`, 'Give a number above 0.');
    }
  }
  for (const name of ['syncActionsAtomic', 'asyncActionsAtomic', 'development'] as const) {
    if (typeof settings[name] !== 'boolean') throw fault(name, `is ${settings[name]}.`, 'Give true or false.');
  }
  checkOrigins(settings.origins);
  return settings;
}

function checkOrigins(origins: Settings['origins']): void {
  if (origins === 'same' || origins === 'any') return;
  const wrong = Array.isArray(origins) ? origins.find((origin) => !isOrigin(origin)) : String(origins);
  if (wrong !== undefined)
    throw fault('origins', `has ${JSON.stringify(wrong)}.`, 'Give origins such as "https://example.org".');
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

function known(): string {
  return Object.keys(defaultSettings).join(', ');
}

function fault(member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'settings', member, reason, remedy });
}
