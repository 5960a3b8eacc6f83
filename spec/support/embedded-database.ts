import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { dataDir } from '@electric-sql/pglite-prepopulatedfs';
import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/pglite';

let unpacking: Promise<ArrayBuffer> | undefined;

/** The files of an empty database: PGlite takes four seconds of a processor to make them, and half of one to load them. */
function emptyFiles(): Promise<ArrayBuffer> {
  unpacking ??= unpack();
  return unpacking;
}

async function unpack(): Promise<ArrayBuffer> {
  const archive = await dataDir();
  return new Uint8Array(await promisify(gunzip)(await archive.arrayBuffer())).buffer;
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
    // MikroORM copies its options, and the copy of a real Blob is none. PGlite asks for no more than this.
    driverOptions: { loadDataDir: { type: 'application/x-tar', arrayBuffer: emptyFiles } },
    entities,
    metadataProvider: ReflectMetadataProvider,
    discovery: { warnWhenNoEntities: false },
  });
}
