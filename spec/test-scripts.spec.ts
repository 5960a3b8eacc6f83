import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { population } from './support/population.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { scripts } = JSON.parse(await readFile(`${root}package.json`, 'utf8'));
const ignored: string[] = [...scripts.test.matchAll(/--ignore "([^"]+)"/g)].map(([, pattern = '']) => pattern);
const globs = (script: string): string[] =>
  [...script.matchAll(/(?<!--ignore) "([^"]+)"/g)].map(([, glob = '']) => glob);

describe('The scripts that run the specs', () => {
  it('are two, and the second leaves no spec out', () => {
    expect(globs(scripts.test)).to.deep.equal(['sample-app/dist/spec/**/*.spec.js', 'build/spec/**/*.spec.js']);
    expect(globs(scripts['test:all'])).to.deep.equal(globs(scripts.test));
    expect(scripts['test:all']).to.not.include('--ignore');
  });

  for (const pattern of ignored) {
    it(`the first leaves out ${pattern}, where there are specs`, () => {
      expect(globSync(pattern, { cwd: root }).filter((path) => path.endsWith('.spec.js'))).to.not.deep.equal([]);
    });
  }

  it('the second is the one of CI', async () => {
    const ci = await readFile(`${root}.ci/run`, 'utf8');
    expect(ci)
      .to.include('npm run test:all')
      .and.to.not.match(/npm test\b/);
  });

  it('the first repeats a quarter as often', () => {
    expect(population(150)).to.equal(process.env['SIGNALBOX_SPECS'] === 'all' ? 150 : 38);
    expect(population(2)).to.equal(process.env['SIGNALBOX_SPECS'] === 'all' ? 2 : 1);
  });
});
