import { inspect } from 'node:util';
import { currentWork } from './async-context.js';
import { ApiError } from './errors.js';
import { Redaction } from './redaction.js';
import { defaultSettings } from './settings.js';
import { Status } from './status.js';

/** What a log entry has beside its message. Values of fields whose names hold a secret are redacted (setting `log.redacted`). */
export type LogFields = Readonly<Record<string, unknown>>;

const levels = ['debug', 'info', 'warn', 'error'] as const;
/** From the lowest to the highest: `debug`, `info`, `warn`, `error`. */
export type LogLevel = (typeof levels)[number];

/** How much of what a client may have sent gets into the log, in characters. */
export interface LogLimits {
  /** Characters of one text; what follows is counted, not shown. Default 1 000. */
  readonly text: number;
  /** Characters of the stack of an error. Default 8 000. */
  readonly stack: number;
  /** Characters of a line; a longer one keeps its head and the beginning of its fields. Default 32 768. */
  readonly line: number;
}

export const defaultLimits: LogLimits = { text: 1_000, stack: 8_000, line: 32_768 };

/**
 * Everything that clients do not see: one JSON object a line, on standard error. Line breaks, control characters and
 * signs that turn the direction of writing are escaped inside values, so that a client cannot forge an entry, and long texts
 * are cut. Extend it and register your own to send them elsewhere:
 * `container.register(Logger, { useClass: MyLogger })`.
 */
export class Logger {
  readonly #floor: number;
  readonly #write: (line: string) => void;
  readonly #limits: LogLimits;
  readonly #redaction: Redaction;

  /**
   * @param level the lowest level that is written; default `info`
   * @param redacted parts of the names of fields that hold secrets; default those of the setting `log.redacted`
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

  /** For developers: dropped kwargs, refused tokens. Written only where the level is `debug`. */
  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  /** What happens in normal operation: start, end, and requests where the setting `log.actions` asks for them. */
  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  /** What works for now and wants attention. */
  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  /** What failed. An `error` among the fields is written with its stack and causes. */
  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  /** Whether entries of this level are written: what is costly to put into words need not be, where they are not. */
  isLevelEnabled(level: LogLevel): boolean {
    return levels.indexOf(level) >= this.#floor;
  }

  /** A log that fails must not make the work fail that it reports. */
  #log(level: LogLevel, message: string, fields?: LogFields): void {
    try {
      this.log(level, message, fields && this.#redaction.apply(fields));
    } catch (error) {
      const head = { level: 'error', message: 'The logger failed.' };
      process.stderr.write(`${toLine(head, { lost: message, error }, this.#limits)}\n`);
    }
  }

  /** Which request is being worked for: its consumer, action, request id, path, user and trace. Empty outside of any. */
  protected get context(): LogFields {
    return currentWork.getStore()?.logFields ?? {};
  }

  /** All four levels end here; secrets are redacted by then. */
  protected log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isLevelEnabled(level)) return;
    const head = { time: new Date().toISOString(), level, message };
    this.#write(`${toLine(head, { ...this.context, ...fields }, this.#limits)}\n`);
  }
}

/** Signs that terminals and log viewers obey; JSON escapes only some of them. */
const obeyed = /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;

/** The text with these signs escaped as in JSON, so that it stays on one line and forges nothing. */
export function escaped(text: string): string {
  return text.replace(obeyed, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function toLine(head: LogFields, fields: LogFields, limits: LogLimits): string {
  const whole = toJson({ ...head, ...fields, ...head }, limits);
  const json = whole.length <= limits.line ? whole : toJson({ ...head, cut: toJson(fields, limits) }, limits);
  return escaped(json);
}

/** A field that is no JSON is shown as Node shows it: the log has to take whatever went wrong. */
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
    return 'It cannot be shown: it throws when it is looked at.';
  }
}

function jsonValue(key: string, value: unknown, limits: LogLimits): unknown {
  if (typeof value === 'string') return shortened(value, key === 'stack' ? limits.stack : limits.text);
  if (typeof value === 'bigint') return String(value);
  // Application code threw it.
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

/** What the log shows of an error. A client's mistake (4xx) has no stack: no line of code is at fault. */
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
