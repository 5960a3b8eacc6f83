import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type Bug, bugs } from './bugs.js';
import { plant } from './plant.js';

const root = new URL('../../../', import.meta.url);

const bug: Bug = { name: 'no answer', file: 'a.js', sound: 'if (a) return b;', broken: '', specs: [] };

describe('The bug zoo', () => {
  it('has a place for every bug, and specs that are there', () => {
    for (const each of bugs) {
      plant(each, readFileSync(new URL(`dist/${each.file}`, root), 'utf8'));
      for (const spec of each.specs) expect(existsSync(new URL(`spec/${spec}.spec.ts`, root)), spec).to.equal(true);
    }
    expect(new Set(bugs.map(({ name }) => name)).size).to.equal(bugs.length);
  });

  it('plants a bug, however lines are broken there', () => {
    expect(plant(bug, 'x();\nif (a)\n    return b;\ny();')).to.equal('x();\n\ny();');
  });

  it('says so where the place of a bug is gone, or there twice', () => {
    const message = 'The bug "no answer" cannot be planted: in dist/a.js this';
    expect(() => plant(bug, 'x();')).to.throw(`${message} is not there: if (a) return b;`);
    expect(() => plant(bug, 'if (a) return b; if (a) return b;')).to.throw(`${message} is there 2 times`);
  });
});
