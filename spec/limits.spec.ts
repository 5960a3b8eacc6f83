import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { defaultSettings } from '#signalbox/settings.js';

/** `[name, default]` of each row that begins with the name of a setting. */
async function rows(): Promise<[string, number | false][]> {
  const page = await readFile(new URL('../../docs/limits.md', import.meta.url), 'utf8');
  const found = page.matchAll(/^\| `([\w.]+)` \| ([\d ]+|off) \|/gm);
  return [...found].map(([, name = '', value = '']) => [
    name,
    value === 'off' ? false : Number(value.replaceAll(' ', '')),
  ]);
}

/** Every setting that is a number, or may be one. */
function numbers(): [string, number | false][] {
  const { limits, outbound, heartbeat, drain } = defaultSettings;
  const groups = Object.entries({ limits, outbound, heartbeat, drain }).flatMap(([group, members]) =>
    Object.entries(members).map(([name, value]) => [`${group}.${name}`, value] as [string, number | false]),
  );
  const alone = Object.entries(defaultSettings).filter(([, value]) => typeof value === 'number');
  return [...groups, ...alone];
}

describe('The page on limits', () => {
  it('has every limit once, with its option and its default', async () => {
    const told = await rows();
    expect(Object.fromEntries(told)).to.deep.equal(Object.fromEntries(numbers()));
    expect(told).to.have.length(numbers().length);
  });

  it('is the only one that tells the defaults', async () => {
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    expect(page).not.to.match(/^\| `(outbound|heartbeat|drain)\./m);
  });
});
