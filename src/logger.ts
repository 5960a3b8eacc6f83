export type LogFields = Readonly<Record<string, unknown>>;

const levels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof levels)[number];

/**
 * Where everything goes that no client is told: one JSON object a line, on standard error. Line breaks inside values are
 * escaped by JSON, so that a client cannot forge an entry. Extend it and register your own to send them elsewhere:
 * `container.register(Logger, { useClass: MyLogger })`.
 */
export class Logger {
  readonly #floor: number;
  readonly #write: (line: string) => void;

  /** @param level the lowest level that is written; default `info` */
  constructor(level: LogLevel = 'info', write: (line: string) => void = (line) => process.stderr.write(line)) {
    this.#floor = levels.indexOf(level);
    this.#write = write;
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields);
  }

  /** All four levels end here. */
  protected log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (levels.indexOf(level) < this.#floor) return;
    const entry = { time: new Date().toISOString(), level, message, ...fields };
    this.#write(`${JSON.stringify(entry, jsonValue)}\n`);
  }
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return cause === undefined ? { name, message, stack } : { name, message, stack, cause };
}
