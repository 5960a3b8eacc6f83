import 'reflect-metadata';
import { type Database, migrate, openEmbedded } from '../../src/database/open-database.js';

let opening: Promise<Database> | undefined;

/** One embedded PostgreSQL for the whole run, since one takes a second to start. Specs keep apart by unique names. */
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

after(async () => {
  await (await opening)?.close();
});
