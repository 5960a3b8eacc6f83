import type { MikroORM } from '@mikro-orm/postgresql';
import type { GivenSettings } from 'signalbox';
import { emptyDatabase } from './database.js';
import { until } from './deadline.js';
import type { PlainCommands } from './plain-writer.js';
import { type PostgresServer, startPostgres } from './postgres.js';
import { Program } from './programs.js';
import type { ApplicationCommands, ApplicationOptions } from './shelf-application.js';
import { openShelves } from './shelf-service.js';
import type { WorkerCommands, WorkerOptions } from './shelf-worker.js';
import { TcpProxy } from './tcp-proxy.js';

export type Application = Program<ApplicationCommands, { readonly port: number }>;
export type Worker = Program<WorkerCommands>;

export function startApplication(options: ApplicationOptions): Promise<Application> {
  return Program.start(new URL('shelf-application.js', import.meta.url), options);
}

export function startWorker(options: WorkerOptions): Promise<Worker> {
  return Program.start(new URL('shelf-worker.js', import.meta.url), options);
}

export function startPlainWriter(options: { readonly url: string }): Promise<Program<PlainCommands>> {
  return Program.start(new URL('plain-writer.js', import.meta.url), options);
}

export interface Processes {
  readonly server: PostgresServer;
  readonly url: string;
  /** The spec's own way to the database, of which no log is kept. */
  readonly orm: MikroORM;
  /** Two applications of one database. */
  readonly here: Application;
  readonly there: Application;
  /** Between the database and `there`. */
  readonly proxy: TcpProxy;
  readonly worker: Worker;
}

/** Two applications and a worker on one PostgreSQL of their own, which a spec may stop. Its rows are deleted before each spec. */
export function useProcesses(settings: GivenSettings = {}): Processes {
  let processes: Processes | undefined;
  before(async function () {
    this.timeout(60_000);
    processes = await startProcesses(settings);
  });
  beforeEach(async () => {
    if (processes) await emptyDatabase(processes.orm);
  });
  after(async function () {
    this.timeout(60_000);
    if (processes) await stopProcesses(processes);
  });
  return new Proxy({} as Processes, {
    get(_, name) {
      if (!processes) throw new Error('The processes run within specs only.');
      return processes[name as keyof Processes];
    },
  });
}

/** Resolves when an outage is over, and what follows from it. */
export async function areBack(...applications: readonly Application[]): Promise<void> {
  for (const application of applications) await until(() => application.ask('isBack'), 'The end of an outage');
}

/** How many rows the change log has. */
export async function countEntries(orm: MikroORM): Promise<number> {
  const [found]: { count: number }[] = await orm.em.execute('select count(*)::int as count from signalbox.log');
  return found?.count ?? 0;
}

async function startProcesses(settings: GivenSettings): Promise<Processes> {
  const server = await startPostgres();
  const url = await server.createDatabase('processes');
  const orm = await openShelves(url);
  await orm.schema.create();
  const proxy = await TcpProxy.to(Number(new URL(url).port));
  // The first one makes the tables of the log.
  const here = await startApplication({ url, settings });
  const [there, worker] = await Promise.all([
    startApplication({ url: proxy.urlOf(url), settings }),
    startWorker({ url, settings: settings.changeLog ?? {} }),
  ]);
  return { server, url, orm, here, there, proxy, worker };
}

async function stopProcesses({ server, orm, here, there, proxy, worker }: Processes): Promise<void> {
  await Promise.all([here.kill(), there.kill(), worker.kill()]);
  await orm.close(true);
  await proxy.close();
  await server.stop();
}
