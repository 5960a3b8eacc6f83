import { bundlePages } from '../../src/bundle-pages.js';

let bundling: Promise<void> | undefined;

/** The scripts of the pages as their sources are now; `tsc` alone does not make them. */
export function bundledPages(): Promise<void> {
  bundling ??= bundlePages();
  return bundling;
}
