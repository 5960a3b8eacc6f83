import { readFileSync } from 'node:fs';
import { expect } from 'chai';

describe('The files of an empty database', () => {
  it('are those of the version of PGlite that loads them', () => {
    const driver = manifest(import.meta.resolve('@mikro-orm/pglite/package.json'));
    const files = manifest(new URL('../package.json', import.meta.resolve('@electric-sql/pglite-prepopulatedfs')));
    expect(files.version).to.equal(driver.dependencies['@electric-sql/pglite']);
  });
});

function manifest(url: string | URL): { readonly version: string; readonly dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(new URL(url), 'utf8'));
}
