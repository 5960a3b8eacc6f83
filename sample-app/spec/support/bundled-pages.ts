import { bundlePages } from '../../src/bundle-pages.js';

let bundling: Promise<void> | undefined;

/** Bundles the scripts of the pages from their current sources; `tsc` alone does not make them. */
export function bundledPages(): Promise<void> {
  bundling ??= bundlePages();
  return bundling;
}
