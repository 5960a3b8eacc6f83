import { type LogFields, Logger, type LogLevel } from '../logger.js';

/** One entry of `MemoryLogger`, before anything is cut or redacted. */
export interface LogEntry {
  /** The level of the entry. */
  readonly level: LogLevel;
  /** The sentence of the entry. */
  readonly message: string;
  /** The structured values of the entry, as the caller passed them. */
  readonly fields: LogFields;
}

/** Keeps all log entries: `container.registerInstance(Logger, new MemoryLogger())`. */
export class MemoryLogger extends Logger {
  /** All entries, the oldest first. Set its `length` to 0 to forget them. */
  readonly entries: LogEntry[] = [];

  protected override log(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.entries.push({ level, message, fields });
  }

  /** The entries of one level. */
  at(level: LogLevel): readonly LogEntry[] {
    return this.entries.filter((entry) => entry.level === level);
  }
}
