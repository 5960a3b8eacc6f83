import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { catalogueFaults, differencesOf, numbersOf, scenarioSpecsOf } from '../support/dcrf-catalogue.js';

const root = new URL('../../../', import.meta.url);

function filesBelow(folder: string, ending: string): readonly string[] {
  const found = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' });
  return found
    .filter((path) => path.endsWith(ending) && path !== 'catalogue.spec.ts')
    .map((path) => readFileSync(new URL(`${folder}${path}`, root), 'utf8'));
}

describe('The catalogue of DCRF', () => {
  it('has a spec for every number, and a reason in docs/coming-from-dcrf.md for every difference', () => {
    const numbers = numbersOf(readFileSync(new URL('spec/dcrf/catalogue.txt', root), 'utf8'));
    expect(numbers).to.have.length(246);
    expect(new Set(numbers).size).to.equal(246);
    const specs = filesBelow('spec/dcrf/', '.spec.ts').flatMap(scenarioSpecsOf);
    const differences = differencesOf(readFileSync(new URL('docs/coming-from-dcrf.md', root), 'utf8'));
    expect(catalogueFaults(numbers, specs, differences)).to.deep.equal([]);
  });
});

describe('The check of the catalogue', () => {
  const source = "it('S001 holds', …); it(\n 'S002 (differs) from it', …); it(`S003 also`); it('S9 nothing'); // S004";

  it('finds the numbers that titles start with, and which of them differ', () => {
    expect(scenarioSpecsOf(source)).to.deep.equal([
      { number: 'S001', differs: false },
      { number: 'S002', differs: true },
      { number: 'S003', differs: false },
    ]);
  });

  it('finds the numbers of a list of differences', () => {
    const page = '- **S001**: so.\n- **S002**, **S003**: so.\ntext **S004**\n  - **S005**: no\n';
    expect(differencesOf(page)).to.deep.equal(['S001', 'S002', 'S003']);
  });

  it('names a number without a spec, one that is unknown, and differences without a reason or a spec', () => {
    const specs = scenarioSpecsOf(source);
    expect(catalogueFaults(['S001', 'S002', 'S003'], specs, ['S002'])).to.deep.equal([]);
    expect(catalogueFaults(['S001', 'S002', 'S007'], specs, ['S001', 'S008'])).to.deep.equal([
      'S007 has no spec below spec/dcrf/.',
      'S003 has a spec, and is not in the catalogue.',
      'S008 is listed as a difference, and is not in the catalogue.',
      'S002 differs, and docs/coming-from-dcrf.md does not say why.',
      'S001 is listed as a difference, and its spec has no "(differs)" in its title.',
    ]);
  });
});
