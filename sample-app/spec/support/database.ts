import 'reflect-metadata';
import { type Database, migrate, openEmbedded } from '../../src/database/open-database.js';

let opening: Promise<Database> | undefined;

/** One embedded PostgreSQL for the whole run, because one takes a second to start. Specs use unique names to stay separate. */
export function sharedDatabase(): Promise<Database> {
  opening ??= openMigrated();
  return opening;
}

async function openMigrated(): Promise<Database> {
  const database = await openEmbedded('memory://');
  await migrate(database);
  return database;
}

export const TIME_TO_OPEN = 60_000;

// PGlite has a timer of 10 s that keeps the process; closing the database ends it. A worker of `mocha --parallel` knows no last file:
// its database ends with it.
if (process.env.MOCHA_WORKER_ID === undefined) {
  after(async () => {
    await (await opening)?.close();
  });
}
