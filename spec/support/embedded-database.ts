import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/pglite';

const manifest = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'));
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
const archive = fileURLToPath(new URL(`../../empty-pglite-${version}.tar`, import.meta.url));

let reading: Promise<Blob> | undefined;

/**
 * The files of an empty embedded database, for `driverOptions.loadDataDir`. To make them takes four seconds of a processor and to
 * load them half of one, so the first process that needs them keeps them beside the compiled specs.
 */
export function emptyFiles(): Promise<Blob> {
  reading ??= readEmptyFiles();
  return reading;
}

async function readEmptyFiles(): Promise<Blob> {
  if (!existsSync(archive)) await makeEmptyFiles();
  const { buffer } = new Uint8Array(await readFile(archive));
  // MikroORM copies its options, and the copy of a real Blob is none. PGlite asks for no more than this.
  return { type: '', arrayBuffer: async () => buffer } as Blob;
}

async function makeEmptyFiles(): Promise<void> {
  const { PGlite } = await import('@electric-sql/pglite');
  await using database = await PGlite.create();
  const files = await database.dumpDataDir('none');
  await mkdir(dirname(archive), { recursive: true });
  // Another process may be making them too: each file that stands there is whole.
  await writeFile(`${archive}.${process.pid}`, files.stream());
  await rename(`${archive}.${process.pid}`, archive);
}

/** A database of its own in the process of the spec, for one file. It has one connection. */
export function embeddedDatabase(entities: EntityClass<object>[]): { readonly orm: MikroORM } {
  let opened: MikroORM | undefined;
  before(async function () {
    this.timeout(60_000);
    opened = await openEmbedded(entities);
    await opened.schema.create();
  });
  after(() => opened?.close(true));
  return {
    get orm(): MikroORM {
      if (!opened) throw new Error('The database is open within specs only.');
      return opened;
    },
  };
}

/** The same, without tables, and closed by who opens it. */
export async function openEmbedded(entities: EntityClass<object>[]): Promise<MikroORM> {
  return MikroORM.init({
    dbName: 'memory://',
    driverOptions: { loadDataDir: await emptyFiles() },
    entities,
    metadataProvider: ReflectMetadataProvider,
    discovery: { warnWhenNoEntities: false },
  });
}
