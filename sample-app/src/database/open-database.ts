import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type MigrationInfo, MikroORM } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { Migrator } from '@mikro-orm/migrations';
import { entities } from '../entities/entities.js';
import { migrations } from '../migrations/migrations.js';
import { type Settings, StartError } from '../settings.js';
import { FolderLock } from './folder-lock.js';

export interface Database {
  readonly orm: MikroORM;
  /** Whether further processes may use it. The embedded database belongs to this process. */
  readonly isShared: boolean;
  close(): Promise<void>;
}

/** The number of the advisory lock: any, as long as nothing else in this database uses it. */
const MIGRATION_LOCK = 7001;

const common = {
  entities,
  metadataProvider: ReflectMetadataProvider,
  extensions: [Migrator],
  migrations: { migrationsList: migrations, snapshot: false, silent: true },
  // Tables of the framework, which no migration of the application touches.
  schemaGenerator: { ignoreSchema: ['signalbox'] },
};

/** DATABASE_URL makes the app use a PostgreSQL server; without it, an embedded database keeps its files in the folder. */
export async function openDatabase({ databaseUrl, dataFolder }: Settings): Promise<Database> {
  if (databaseUrl) return openServer(databaseUrl);
  const lock = FolderLock.acquire(dataFolder);
  try {
    return await openEmbedded(filesIn(dataFolder), () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The ORM of the same database, not connected: for callers that only need its entities and settings. */
export function createOrm({ databaseUrl, dataFolder }: Settings): Promise<MikroORM> {
  return databaseUrl ? ormOfServer(databaseUrl) : ormOfFiles(filesIn(dataFolder));
}

async function openServer(clientUrl: string): Promise<Database> {
  const orm = await ormOfServer(clientUrl);
  const remedy = 'Start PostgreSQL, or correct DATABASE_URL in the environment or in .env.';
  await checkOpened(orm, remedy);
  return { orm, isShared: true, close: () => orm.close() };
}

export async function openEmbedded(dbName: string, onClose: () => void = () => undefined): Promise<Database> {
  const orm = await ormOfFiles(dbName);
  const remedy = `See whether this user may write into ${dbName}, or choose another folder with DATA_FOLDER.`;
  await checkOpened(orm, remedy);
  return { orm, isShared: false, close: () => orm.close().finally(onClose) };
}

/** Only the driver in use is imported, because the embedded one includes PostgreSQL itself. */
async function ormOfServer(clientUrl: string): Promise<MikroORM> {
  const { pathname } = URL.parse(clientUrl) ?? {};
  if (!pathname || pathname === '/') {
    throw new StartError(
      'DATABASE_URL names no database. Write it as postgresql://user:password@localhost:5432/name, in the environment or in .env.',
    );
  }
  const { PostgreSqlDriver } = await import('@mikro-orm/postgresql');
  return MikroORM.init({ ...common, driver: PostgreSqlDriver, clientUrl });
}

async function ormOfFiles(dbName: string): Promise<MikroORM> {
  const [{ PgliteDriver }, { dataDir }] = await Promise.all([
    import('@mikro-orm/pglite'),
    import('@electric-sql/pglite-prepopulatedfs'),
  ]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StartError(
      'DATABASE_URL is not set, and the embedded database is not installed: npm install --save-exact @mikro-orm/pglite@7.2.1 @electric-sql/pglite-prepopulatedfs@0.5.8',
    );
  });
  const driverOptions = isComplete(dbName) ? {} : { loadDataDir: unpacked(dataDir) };
  return MikroORM.init({ ...common, driver: PgliteDriver, dbName, driverOptions });
}

/** PGlite looks for the same file. It is written near the end, so that an interrupted first start begins again. */
function isComplete(folder: string): boolean {
  return existsSync(join(folder, 'PG_VERSION'));
}

/**
 * The files of an empty database. PGlite loads them at its first start; making them would take three times the time and twice the
 * memory. They are read when PGlite needs them: an ORM that does not connect needs none.
 */
function unpacked(archive: () => Promise<Blob>): Pick<Blob, 'type' | 'arrayBuffer'> {
  const arrayBuffer = async () => {
    const files = await promisify(gunzip)(await (await archive()).arrayBuffer());
    return new Uint8Array(files).buffer;
  };
  // MikroORM copies its options, and the copy of a real Blob is not a Blob. PGlite needs these two members.
  return { type: 'application/x-tar', arrayBuffer };
}

function filesIn(dataFolder: string): string {
  return join(dataFolder, 'pglite');
}

/** MikroORM would connect with the first query; this shows at once whether that works. */
async function checkOpened(orm: MikroORM, remedy: string): Promise<void> {
  const reason = await orm.connect().then(
    () => reasonOf(orm),
    (error: Error) => error.message || error.name,
  );
  if (reason === undefined) return;
  await orm.close();
  throw new StartError(`The database cannot be opened: ${reason}. ${remedy}`);
}

async function reasonOf(orm: MikroORM): Promise<string | undefined> {
  const check = await orm.checkConnection();
  return check.ok ? undefined : check.reason;
}

/** The names of the migrations that were new to this database. */
export async function migrate({ orm, isShared }: Database): Promise<string[]> {
  const applied = isShared ? await migrateInTurn(orm) : await orm.migrator.up();
  return applied.map(({ name }) => name);
}

/** MikroORM takes no lock around its migrations, and processes may start at the same time. The lock ends with its transaction. */
function migrateInTurn(orm: MikroORM): Promise<MigrationInfo[]> {
  return orm.em.fork().transactional(async (em) => {
    const lock = `select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    await em.getConnection().execute(lock, [], 'run', em.getTransactionContext());
    return orm.migrator.up();
  });
}
