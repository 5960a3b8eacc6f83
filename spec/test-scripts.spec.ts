import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { population } from './support/population.js';
import { commandOf, filesOf, long, slow } from './support/run.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const every = ['sample-app/dist/spec', 'build/spec'].flatMap((folder) =>
  globSync('**/*.spec.js', { cwd: `${root}${folder}` }).map((path) => `${folder}/${path.replaceAll('\\', '/')}`),
);

describe('npm test', () => {
  it('runs every spec once, but those that take long, and passes its arguments to mocha', () => {
    const { isWhole, leftOut, mocha } = commandOf(['--grep', 'a title'], false);
    expect(leftOut).to.equal(filesOf(slow).length);
    expect(isWhole).to.equal(false);
    expect(mocha.slice(0, 2)).to.deep.equal(['--grep', 'a title']);
    const left = new Set(filesOf(slow));
    expect(mocha.slice(2).toSorted()).to.deep.equal(every.filter((path) => !left.has(path)).sort());
  });

  it('leaves nothing out in CI, nor with --all', () => {
    for (const { isWhole, leftOut, mocha } of [commandOf([], true), commandOf(['--all'], false)]) {
      expect(leftOut).to.equal(0);
      expect(isWhole).to.equal(true);
      expect(mocha.toSorted()).to.deep.equal(every.toSorted());
    }
    expect(commandOf(['--no-color'], true).mocha[0]).to.equal('--no-color');
  });

  it('begins with the files that take longest', () => {
    const first = filesOf([...slow, ...long]);
    expect(commandOf([], true).mocha.slice(0, first.length)).to.deep.equal(first);
  });

  for (const pattern of [...slow, ...long]) {
    it(`finds specs by ${pattern}`, () => {
      expect(filesOf([pattern])).to.not.deep.equal([]);
    });
  }

  it('repeats a quarter as often what is repeated, unless it leaves nothing out', () => {
    const isWhole = process.env['SIGNALBOX_SPECS'] === 'all';
    expect(population(150)).to.equal(isWhole ? 150 : 38);
    expect(population(2)).to.equal(isWhole ? 2 : 1);
  });
});
