import { styleText } from 'node:util';
import {
  defaultLimits,
  errorFields,
  escaped,
  type LogFields,
  Logger,
  type LogLevel,
  type LogLimits,
  shortened,
  toJson,
} from './logger.js';
import { defaultSettings } from './settings.js';

/** The part of a stream that the logger needs. */
export interface LogStream {
  /** Whether colours are written. Default: false. */
  readonly isTTY?: boolean;
  /** Writes text. The logger does not wait for the result. */
  write(text: string): unknown;
}

/** The most causes that are shown, because an error may be its own cause. */
const mostCauses = 8;

type Style = Parameters<typeof styleText>[0];

const styleOfLevel: Readonly<Record<LogLevel, Style | undefined>> = {
  debug: undefined,
  info: undefined,
  warn: 'yellow',
  error: 'red',
};

/**
 * The log for developers, and the default if the setting `development` is true: one line of text for each entry, followed by the stacks of
 * its errors. Coloured on a terminal, unless the environment variable NO_COLOR is set. It escapes and cuts as `Logger` does, and leaves out
 * the request of an entry.
 *
 * ```
 * 12:03:04.123 retrieve rooms #42 200 3 ms
 * 12:03:04.130 warn  The tracer failed. name=value
 * ```
 */
export class TerminalLogger extends Logger {
  readonly #stream: LogStream;
  readonly #limits: LogLimits;
  readonly #isColoured: boolean;

  /**
   * @param level the lowest written level; default: `debug`
   * @param stream default: standard error
   * @param redacted parts of the names of fields that hold secrets; default: the setting `log.redacted`
   */
  constructor(
    level: LogLevel = 'debug',
    stream: LogStream = process.stderr,
    limits: Partial<LogLimits> = {},
    redacted: readonly string[] = defaultSettings.log.redacted,
  ) {
    super(level, undefined, limits, redacted);
    this.#stream = stream;
    this.#limits = { ...defaultLimits, ...limits };
    // An empty NO_COLOR counts as not set: https://no-color.org
    this.#isColoured = stream.isTTY === true && !process.env['NO_COLOR'];
  }

  protected override log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.isLevelEnabled(level)) return;
    const entries = Object.entries(fields);
    const errors = entries.filter((entry): entry is [string, Error] => entry[1] instanceof Error);
    const texts = entries
      .filter(([, value]) => !(value instanceof Error))
      .flatMap((entry) => this.#field(message, ...entry));
    const head = this.#style('dim', timeOf(new Date()));
    const shown = styleOfLevel[level];
    const mark = shown ? `${this.#style(shown, level.padEnd(5))} ` : '';
    const body = this.#cut(escaped(message));
    const line = level === 'debug' ? this.#style('dim', body) : this.#styleStatus(body, fields['status']);
    const rest = texts.length > 0 ? ` ${this.#style('dim', this.#cut(escaped(texts.join(' '))))}` : '';
    const stacks = errors.flatMap(([, error]) => this.#stack(error)).map((text) => `    ${text}\n`);
    this.#stream.write(`${head} ${mark}${line}${rest}\n${stacks.join('')}`);
  }

  /** The text of a field. A status that the message contains is not repeated. */
  #field(message: string, name: string, value: unknown): string[] {
    if (name === 'status' && ` ${message} `.includes(` ${value} `)) return [];
    const json = toJson({ [name]: value }, this.#limits).slice(JSON.stringify(name).length + 2, -1);
    const isWord = /^"[^\s"\\]+"$/.test(json);
    return json === '' ? [] : [`${name}=${isWord ? json.slice(1, -1) : json}`];
  }

  #styleStatus(message: string, status: unknown): string {
    if (typeof status !== 'number') return message;
    const style = status >= 500 ? 'red' : status >= 400 ? 'yellow' : 'green';
    return message.replace(new RegExp(` ${status}(?= |$)`), ` ${this.#style(style, String(status))}`);
  }

  /** The stacks of an error and of its causes, which may be any value, even the error itself. */
  #stack(error: unknown, depth = 0): string[] {
    if (depth === mostCauses) return ['…'];
    if (typeof error === 'string') return [escaped(shortened(error, this.#limits.text))];
    if (!(error instanceof Error)) return [escaped(toJson({ thrown: error }, this.#limits))];
    const { name, message, stack = `${name}: ${message}`, cause, errors = [] } = errorFields(error);
    const lines = shortened(stack, this.#limits.stack).split('\n').map(escaped);
    const causes = [...(cause === undefined ? [] : [cause]), ...errors].map((inner) => this.#stack(inner, depth + 1));
    return [...lines, ...causes.flatMap(([head = '', ...below]) => [`caused by ${head}`, ...below])];
  }

  #cut(text: string): string {
    return shortened(text, this.#limits.line);
  }

  #style(style: Style, text: string): string {
    return this.#isColoured ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** The time in the developer's time zone, because developers compare it with their own clock. */
function timeOf(now: Date): string {
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, '0')}`;
}
