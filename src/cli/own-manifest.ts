import { readFileSync } from 'node:fs';

/** As much of Signalbox's own package.json as commands need. */
export interface OwnManifest {
  readonly version: string;
  readonly engines: { readonly node: string };
}

export function ownManifest(): OwnManifest {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
}
