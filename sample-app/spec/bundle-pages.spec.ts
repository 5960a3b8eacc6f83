import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { bundleFolder, bundlePages } from '../src/bundle-pages.js';
import { bundledPages } from './support/bundled-pages.js';

describe('The scripts of the pages', () => {
  it('are all there, and whole, while they are bundled again by two processes', async () => {
    const script = join(bundleFolder, 'room.js');
    await bundledPages();
    const whole = await readFile(script, 'utf8');
    let isBundling = true;
    const bundling = Promise.all([bundlePages(), bundlePages()]).finally(() => {
      isBundling = false;
    });
    while (isBundling) expect(await readFile(script, 'utf8')).to.equal(whole);
    await bundling;
  });
});
