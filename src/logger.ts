import { inspect } from 'node:util';
import { currentWork } from './async-context.js';
import { ApiError } from './errors.js';
import { Redaction } from './redaction.js';
import { defaultSettings } from './settings.js';
import { Status } from './status.js';

/** Fields of a log entry beside its message. Values of fields with secret names are redacted (setting `log.redacted`). */
export type LogFields = Readonly<Record<string, unknown>>;

const levels = ['debug', 'info', 'warn', 'error'] as const;
/** From the lowest to the highest: `debug`, `info`, `warn`, `error`. */
export type LogLevel = (typeof levels)[number];

/** How much text from clients one log entry shows, in characters. */
export interface LogLimits {
  /** Characters of one text; the rest is counted, not shown. Default: 1 000. */
  readonly text: number;
  /** Characters of an error's stack. Default: 8 000. */
  readonly stack: number;
  /** Characters of a line; a longer one keeps its head and the beginning of its fields. Default: 32 768. */
  readonly line: number;
}

export const defaultLimits: LogLimits = { text: 1_000, stack: 8_000, line: 32_768 };

/**
 * Writes one JSON object per line to standard error. Line breaks, control characters and characters that change the direction of writing
 * are escaped inside values, so that a client cannot forge an entry, and long texts are cut. Extend it and register your own to send
 * entries elsewhere: `container.register(Logger, { useClass: MyLogger })`.
 */
export class Logger {
  readonly #floor: number;
  readonly #write: (line: string) => void;
  readonly #limits: LogLimits;
  readonly #redaction: Redaction;

  /**
   * @param level the lowest written level; default: `info`
   * @param redacted parts of the names of fields that hold secrets; default: the setting `log.redacted`
   */
  constructor(
    level: LogLevel = 'info',
    write: (line: string) => void = (line) => process.stderr.write(line),
    limits: Partial<LogLimits> = {},
    redacted: readonly string[] = defaultSettings.log.redacted,
  ) {
    this.#floor = levels.indexOf(level);
    this.#write = write;
    this.#limits = { ...defaultLimits, ...limits };
    this.#redaction = new Redaction(redacted);
  }

  /** For developers: dropped kwargs, refused tokens. Written only at level `debug`. */
  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  /** Normal operation: start, end, and requests if the setting `log.actions` includes them. */
  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  /** A condition that works for now, but needs attention. */
  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  /** A failure. An `error` among the fields is written with its stack and causes. */
  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  /** Whether entries of this level are written; if not, callers can skip preparing costly ones. */
  isLevelEnabled(level: LogLevel): boolean {
    return levels.indexOf(level) >= this.#floor;
  }

  /** Writes an entry. If the log fails, the reported work must not fail. */
  #log(level: LogLevel, message: string, fields?: LogFields): void {
    try {
      this.log(level, message, fields && this.#redaction.apply(fields));
    } catch (error) {
      const head = { level: 'error', message: 'The logger failed.' };
      process.stderr.write(`${toLine(head, { lost: message, error }, this.#limits)}\n`);
    }
  }

  /** The fields of the current work: its consumer, action, request id, path, user and trace. Empty outside of any. */
  protected get context(): LogFields {
    return currentWork.getStore()?.logFields ?? {};
  }

  /** Writes an entry of any level; its secrets are already redacted. Override it to write elsewhere. */
  protected log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isLevelEnabled(level)) return;
    const head = { time: new Date().toISOString(), level, message };
    this.#write(`${toLine(head, { ...this.context, ...fields }, this.#limits)}\n`);
  }
}

/** Characters that terminals and log viewers interpret; JSON escapes only some of them. */
const obeyed = /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** The text with these characters escaped as in JSON, so that it stays on one line and forges nothing. */
export function escaped(text: string): string {
  return text.replace(obeyed, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function toLine(head: LogFields, fields: LogFields, limits: LogLimits): string {
  const whole = toJson({ ...head, ...fields, ...head }, limits);
  const json = whole.length <= limits.line ? whole : toJson({ ...head, cut: toJson(fields, limits) }, limits);
  return escaped(json);
}

/** The entry as JSON. A field that JSON cannot show is shown as in Node's console, because the log has to accept any value. */
export function toJson(entry: LogFields, limits: LogLimits): string {
  const replace = (key: string, value: unknown): unknown => jsonValue(key, value, limits);
  try {
    return JSON.stringify(entry, replace);
  } catch {
    const shown = Object.entries(entry).map(([name, value]) => [
      name,
      isJson(value, replace) ? value : inspected(value),
    ]);
    return JSON.stringify(Object.fromEntries(shown), replace);
  }
}

type Replace = (key: string, value: unknown) => unknown;

function isJson(value: unknown, replace: Replace): boolean {
  try {
    JSON.stringify(value, replace);
    return true;
  } catch {
    return false;
  }
}

function inspected(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return 'It cannot be shown: it throws when it is read.';
  }
}

function jsonValue(key: string, value: unknown, limits: LogLimits): unknown {
  if (typeof value === 'string') return shortened(value, key === 'stack' ? limits.stack : limits.text);
  if (typeof value === 'bigint') return String(value);
  // The application threw undefined.
  if (value === undefined && key === 'error') return 'undefined';
  if (typeof value === 'symbol' || typeof value === 'function') return inspected(value);
  return value instanceof Error ? errorFields(value) : value;
}

export interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

/** The fields of an error. A client's mistake (4xx) has no stack, because no line of code is at fault. */
export function errorFields(error: Error): ErrorFields {
  const { name, message, stack, cause } = error;
  if (error instanceof ApiError && error.status < Status.serverError) {
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : cause;
    return { name, message, ...(reason !== undefined && { cause: reason }) };
  }
  const errors: unknown[] | undefined = error instanceof AggregateError ? error.errors : undefined;
  return { name, message, stack, ...(cause !== undefined && { cause }), ...(errors && { errors }) };
}

export function shortened(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length - longest} more characters)`;
}
