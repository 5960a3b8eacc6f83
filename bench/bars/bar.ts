import type { PostgresServer } from '../../spec/support/postgres.js';
import type { BarOptions } from './options.js';
import type { Report } from './report.js';
import { Server, type ServerName } from './server.js';

/** Everything that a bar is measured with. */
export interface Bench {
  readonly options: BarOptions;
  readonly report: Report;
  readonly postgres: PostgresServer;
}

export interface Bar {
  /** Those of its figures. */
  readonly ids: readonly string[];
  readonly about: string;
  /** Where it takes others than the rest. */
  readonly options?: Partial<BarOptions>;
  run(bench: Bench): Promise<void>;
}

/** The servers that are compared, and by which route. */
export const subjects = [
  { name: 'model observer', server: 'signalbox', path: '/model/' },
  { name: 'signal observer', server: 'signalbox', path: '/signal/' },
  { name: 'by hand', server: 'by-hand', path: '/' },
] as const;

/** Runs a work on a new server, which ends with it. */
export async function onServer<Result>(
  { postgres }: Bench,
  name: ServerName,
  work: (server: Server) => Promise<Result>,
  settings: object = {},
): Promise<Result> {
  const url = name === 'signalbox' ? await postgres.createDatabase('bars') : '';
  const server = await Server.start(name, url, settings);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** @throws Error where a work takes longer than it may */
export async function within<Result>(seconds: number, what: string, work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${seconds} s.`)), seconds * 1_000);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
