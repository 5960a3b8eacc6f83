import { loadavg } from 'node:os';

export interface Figure {
  /** Of the bar: B1, B2. */
  readonly bar: string;
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** What was measured, beside what is demanded. */
export class Report {
  #missed = 0;

  get missed(): number {
    return this.#missed;
  }

  /** A figure that has a bar. */
  figure({ bar, what, value, unit, atMost, atLeast }: Figure): void {
    const isMet = value <= (atMost ?? Number.POSITIVE_INFINITY) && value >= (atLeast ?? Number.NEGATIVE_INFINITY);
    if (!isMet) this.#missed += 1;
    const demanded = atMost === undefined ? `at least ${shown(atLeast ?? 0)}` : `at most ${shown(atMost)}`;
    this.#write(`${bar.padEnd(4)}${isMet ? 'met   ' : 'missed'} ${what}: ${shown(value)} ${unit} (bar: ${demanded})`);
  }

  /** Where there is no figure. */
  failure(bar: string, text: string): void {
    this.#missed += 1;
    this.#write(`${bar.padEnd(4)}missed ${text}`);
  }

  /** A figure that tells more about one with a bar. */
  note(bar: string, text: string): void {
    this.#write(`${bar.padEnd(10)} ${text}`);
  }

  #write(line: string): void {
    process.stdout.write(`${line} [load ${(loadavg()[0] ?? 0).toFixed(1)}]\n`);
  }
}

export function shown(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}
