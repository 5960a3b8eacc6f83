import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openEmbedded } from '../../src/database/open-database.js';

const manifest = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'));
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
const prepared = resolve(import.meta.dirname, `../../empty-pglite-${version}`);

/**
 * Puts an empty embedded database, without any table, into a data folder. To make one takes four seconds of a processor and to
 * copy one a tenth of a second, so the first is kept in `dist`.
 */
export async function putEmptyDatabase(dataFolder: string): Promise<void> {
  if (!existsSync(prepared)) await prepare();
  cpSync(prepared, join(dataFolder, 'pglite'), { recursive: true });
}

async function prepare(): Promise<void> {
  const folder = mkdtempSync(`${prepared}-`);
  try {
    const { close } = await openEmbedded(folder);
    await close();
    renameSync(folder, prepared);
  } catch (error) {
    rmSync(folder, { recursive: true });
    // Another process was first.
    if (!existsSync(prepared)) throw error;
  }
}
