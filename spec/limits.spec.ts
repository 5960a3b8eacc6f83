import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { defaultLimits } from '#signalbox/limits.js';
import { defaultSettings } from '#signalbox/settings.js';

/** `[name, default]` of each row whose first cell is one. */
async function rows(pattern: RegExp): Promise<[string, number][]> {
  const page = await readFile(new URL('../../docs/limits.md', import.meta.url), 'utf8');
  return [...page.matchAll(pattern)].map(([, name = '', value = '']) => [name, Number(value.replaceAll(' ', ''))]);
}

describe('The page on limits', () => {
  it('has every limit with its default', async () => {
    const told = await rows(/^\| `(\w+)` \| ([\d ]+) \|/gm);
    expect(Object.fromEntries(told)).to.deep.equal(defaultLimits);
    expect(told).to.have.length(Object.keys(defaultLimits).length);
  });

  it('has the defaults of those settings that it names', async () => {
    const told = await rows(/^\| `(\w+)` \(setting\) \| ([\d ]+) \|/gm);
    expect(told).to.have.length.above(3);
    for (const [name, value] of told) expect(Reflect.get(defaultSettings, name), name).to.equal(value);
  });
});
