import { resolve } from 'node:path';
import { build } from 'esbuild';
import { livePages } from './http/live-pages.js';

const packageFolder = resolve(import.meta.dirname, '../..');

// Makes one script for the page. `tsc` checks its types; the page imports only types of the server.
await build({
  entryPoints: [resolve(packageFolder, 'page/main.ts')],
  outdir: resolve(packageFolder, 'dist/page'),
  inject: livePages.scripts,
  bundle: true,
  format: 'esm',
  target: 'es2023',
  minify: true,
  sourcemap: true,
  logLevel: 'warning',
});
