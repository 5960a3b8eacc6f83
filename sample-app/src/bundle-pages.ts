import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { livePages } from './http/live-pages.js';

const packageFolder = resolve(import.meta.dirname, '../..');

/** The folder from which the scripts of the pages are served. */
export const bundleFolder = resolve(packageFolder, 'dist/page');

/**
 * Makes one script for each page, with the parts of the client that it uses. `tsc` checks the types; the pages import only types
 * of the server.
 */
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

/** Each script replaces the previous one atomically: a page that is loaded meanwhile gets one or the other. */
async function putInPlace(folder: string): Promise<void> {
  await mkdir(bundleFolder, { recursive: true });
  const built = await readdir(folder);
  for (const name of built) await rename(join(folder, name), join(bundleFolder, name));
  const stale = (await readdir(bundleFolder)).filter((name) => !built.includes(name));
  for (const name of stale) await rm(join(bundleFolder, name), { force: true });
}
