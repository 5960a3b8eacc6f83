import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { livePages } from './http/live-pages.js';

const packageFolder = resolve(import.meta.dirname, '../..');

/** Where the scripts of the pages are served from. */
export const bundleFolder = resolve(packageFolder, 'dist/page');

/** One script for each page, with what it uses of the client. Types are checked by `tsc`; of the server they are all it takes. */
export async function bundlePages(): Promise<void> {
  const folder = await mkdtemp(`${bundleFolder}-`);
  try {
    await build({
      entryPoints: ['account', 'lobby', 'room'].map((page) => resolve(packageFolder, `page/${page}.ts`)),
      outdir: folder,
      inject: livePages.scripts,
      bundle: true,
      format: 'esm',
      target: 'es2023',
      minify: true,
      sourcemap: true,
      logLevel: 'warning',
    });
    await putInPlace(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each script replaces the one before it: a page that is loaded meanwhile has one or the other. */
async function putInPlace(folder: string): Promise<void> {
  await mkdir(bundleFolder, { recursive: true });
  const built = await readdir(folder);
  for (const name of built) await rename(join(folder, name), join(bundleFolder, name));
  const stale = (await readdir(bundleFolder)).filter((name) => !built.includes(name));
  for (const name of stale) await rm(join(bundleFolder, name), { force: true });
}
