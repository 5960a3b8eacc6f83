import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { defaultSettings } from '#signalbox/settings.js';

/** `[name, default]` of each row that begins with the name of a setting. */
async function rows(name = 'limits.md'): Promise<[string, number | false][]> {
  const page = await readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
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
    Object.entries<number | false>({ ...members }).map(([name, value]): [string, number | false] => [
      `${group}.${name}`,
      value,
    ]),
  );
  const alone = Object.entries(defaultSettings).flatMap(([name, value]): [string, number | false][] =>
    typeof value === 'number' ? [[name, value]] : [],
  );
  return [...groups, ...alone];
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** `[name, default]` of each row of the table whose comment tells a number. */
async function toldInComments(): Promise<[string, number][]> {
  const source = await readFile(new URL('../../src/settings.ts', import.meta.url), 'utf8');
  const rows = source.matchAll(/Default ([\d ]+\d)\. ?\*?\n?\s*\*\/\n {2}(\w+): \w+\(([\d_]+)\)/g);
  return [...rows].map(([, told = '', name = '', value = '']) => [
    `${name} ${value.replaceAll('_', '')}`,
    Number(told.replaceAll(' ', '')),
  ]);
}

describe('The table of settings', () => {
  it('tells the default of each number in its comment', async () => {
    const told = await toldInComments();
    const members = Object.values<unknown>(defaultSettings).flatMap((one) =>
      isGroup(one) ? Object.values(one) : [one],
    );
    expect(told).to.have.length(members.filter((value) => typeof value === 'number').length);
    for (const [row, value] of told) expect(row.split(' ')[1], row).to.equal(String(value));
  });
});

describe('The page on limits', () => {
  it('has every limit once, with its option and its default', async () => {
    const told = await rows();
    expect(Object.fromEntries(told)).to.deep.equal(Object.fromEntries(numbers()));
    expect(told).to.have.length(numbers().length);
  });

  it('agrees with the page about coming from DCRF', async () => {
    const told = await rows('coming-from-dcrf.md');
    expect(told).to.have.length(18);
    expect(Object.fromEntries(numbers())).to.include(Object.fromEntries(told));
  });

  it('is the only one that tells the defaults', async () => {
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    expect(page).not.to.match(/^\| `(outbound|heartbeat|drain)\./m);
  });
});
