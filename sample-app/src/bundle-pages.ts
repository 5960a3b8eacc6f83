import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { livePages } from './http/live-pages.js';

const packageFolder = resolve(import.meta.dirname, '../..');

/** Where the scripts of the pages are served from. */
export const bundleFolder = resolve(packageFolder, 'dist/page');

/** One script for each page, with what it uses of the client. Types are checked by `tsc`; of the server they are all it takes. */
export async function bundlePages(): Promise<void> {
  await rm(bundleFolder, { recursive: true, force: true });
  await build({
    entryPoints: ['account', 'lobby', 'room'].map((page) => resolve(packageFolder, `page/${page}.ts`)),
    outdir: bundleFolder,
    inject: livePages.scripts,
    bundle: true,
    format: 'esm',
    target: 'es2023',
    minify: true,
    sourcemap: true,
    logLevel: 'warning',
  });
}
