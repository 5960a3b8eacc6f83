import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

export interface BarOptions {
  readonly connections: number;
  readonly subscriptions: number;
  readonly rounds: number;
  readonly events: number;
  readonly seconds: number;
  readonly minutes: number;
  readonly churn: number;
  readonly changes: number;
  readonly frames: number;
  readonly seed: number;
}

/** Descriptors that each of the two processes needs for everything but its connections. */
const spareDescriptors = 500;

const defaults: BarOptions = {
  connections: Math.min(10_000, openFiles() - spareDescriptors),
  subscriptions: 10,
  rounds: 3,
  events: 30,
  seconds: 60,
  minutes: 120,
  churn: 50,
  changes: 100,
  frames: 100_000,
  seed: Date.now() % 2 ** 31,
};

export interface CommandLine {
  readonly names: readonly string[];
  /** What was given stands above what a bar takes by itself. */
  readonly optionsFor: (own?: Partial<BarOptions>) => BarOptions;
}

/** @throws TypeError for an option that is not known, RangeError for one that is no number */
export function readCommandLine(): CommandLine {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }]));
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const given: Record<string, number> = {};
  for (const [name, value] of Object.entries(values)) {
    given[name] = Number(value);
    if (!(Number(value) >= 0)) throw new RangeError(`--${name} is a number, not "${value}".`);
  }
  return { names: positionals, optionsFor: (own) => ({ ...defaults, ...own, ...given }) };
}

/** How many files a process may open. Node has raised it to what the system allows. */
function openFiles(): number {
  const [, limit] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(limit ?? 1_024);
}
