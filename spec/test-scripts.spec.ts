import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { population } from './support/population.js';
import { commandOf, slow } from './support/run.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const all = ['sample-app/dist/spec/**/*.spec.js', 'build/spec/**/*.spec.js'];

describe('npm test', () => {
  it('leaves out what takes long, and passes its arguments to mocha', () => {
    const { isWhole, mocha } = commandOf(['--grep', 'a title'], false);
    expect(isWhole).to.equal(false);
    expect(mocha.filter((word) => word === '--ignore')).to.have.length(slow.length);
    expect(mocha.slice(-4)).to.deep.equal(['--grep', 'a title', ...all]);
  });

  it('leaves nothing out in CI, nor with --all', () => {
    expect(commandOf(['--no-color'], true)).to.deep.equal({ isWhole: true, mocha: ['--no-color', ...all] });
    expect(commandOf(['--all'], false)).to.deep.equal({ isWhole: true, mocha: all });
  });

  for (const pattern of slow) {
    it(`finds specs to leave out by ${pattern}`, () => {
      expect(globSync(pattern, { cwd: root }).filter((path) => path.endsWith('.spec.js'))).to.not.deep.equal([]);
    });
  }

  it('repeats a quarter as often what is repeated, unless it leaves nothing out', () => {
    const isWhole = process.env['SIGNALBOX_SPECS'] === 'all';
    expect(population(150)).to.equal(isWhole ? 150 : 38);
    expect(population(2)).to.equal(isWhole ? 2 : 1);
  });
});
