import { readFileSync } from 'node:fs';

/** The part of Signalbox's own package.json that commands need. */
export interface OwnManifest {
  readonly version: string;
  readonly engines: { readonly node: string };
}

export function ownManifest(): OwnManifest {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
}
