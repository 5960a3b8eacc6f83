import { inspect } from 'node:util';
import { logContext } from './log-context.js';
import { Redaction } from './redaction.js';
import { defaultLog } from './server-settings.js';

export type LogFields = Readonly<Record<string, unknown>>;

const levels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof levels)[number];

/**
 * Where everything goes that no client is told: one JSON object a line, on standard error. Line breaks and control
 * characters inside values are escaped, so that a client cannot forge an entry. Extend it and register your own to send them elsewhere:
 * `container.register(Logger, { useClass: MyLogger })`.
 */
export class Logger {
  readonly #floor: number;
  readonly #write: (line: string) => void;
  readonly #redaction: Redaction;

  /**
   * @param level the lowest level that is written; default `info`
   * @param redacted parts of the names of fields that hold secrets; default those of the setting `log.redacted`
   */
  constructor(
    level: LogLevel = 'info',
    write: (line: string) => void = (line) => process.stderr.write(line),
    redacted: readonly string[] = defaultLog.redacted,
  ) {
    this.#floor = levels.indexOf(level);
    this.#write = write;
    this.#redaction = new Redaction(redacted);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  /** A log that fails must not take what it tells of with it. */
  #log(level: LogLevel, message: string, fields?: LogFields): void {
    try {
      this.log(level, message, fields && this.#redaction.apply(fields));
    } catch (error) {
      process.stderr.write(`${toLine({ level: 'error', message: 'The logger failed.', lost: message, error })}\n`);
    }
  }

  /** Which request is being worked for: its consumer, action, request id, path, user and trace. Empty outside of any. */
  protected get context(): LogFields {
    return logContext.getStore() ?? {};
  }

  /** All four levels end here; secrets are redacted by then. */
  protected log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (levels.indexOf(level) < this.#floor) return;
    const head = { time: new Date().toISOString(), level, message };
    this.#write(`${toLine({ ...head, ...this.context, ...fields, ...head })}\n`);
  }
}

/** Signs that JSON leaves as they are, and terminals and log viewers obey. */
const unescaped = /[\u007f-\u009f\u2028\u2029]/g;

function toLine(entry: LogFields): string {
  return toJson(entry).replace(unescaped, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A field that is no JSON is shown as Node shows it: the log has to take whatever went wrong. */
function toJson(entry: LogFields): string {
  try {
    return JSON.stringify(entry, jsonValue);
  } catch {
    const shown = Object.entries(entry).map(([name, value]) => [name, isJson(value) ? value : inspect(value)]);
    return JSON.stringify(Object.fromEntries(shown), jsonValue);
  }
}

function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value, jsonValue);
    return true;
  } catch {
    return false;
  }
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  const errors = value instanceof AggregateError ? value.errors : undefined;
  return { name, message, stack, ...(cause !== undefined && { cause }), ...(errors && { errors }) };
}
