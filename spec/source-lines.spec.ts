import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { showSourceLines, withSourceLines } from './support/source-lines.js';

const own = 'spec/source-lines.spec.ts';
/** The number of the line of this file that has this in it first. */
const lineOf = (text: string): number =>
  readFileSync(own, 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1;

describe('The stack trace of a spec that fails', () => {
  it('names the lines of the sources', () => {
    const error = new Error('one', { cause: new TypeError('two') });
    showSourceLines(error);
    expect(error.stack).to.include(`${own}:${lineOf("new Error('one'")}:`);
    expect((error.cause as Error).stack).to.include(`${own}:${lineOf("new TypeError('two'")}:`);
  });

  it('names them by paths that mocha has shortened', () => {
    const trace = (path: string) => withSourceLines(`at Context.<anonymous> (${path}:1:1)`);
    expect(trace('build/spec/support/frames.js')).to.match(
      /^at Context\.<anonymous> \(spec\/support\/frames\.ts:\d+:\d+\)$/,
    );
    expect(trace(resolve('dist/errors.js'))).to.match(/\(src\/errors\.ts:\d+:\d+\)$/);
  });

  it('stays as it is where there is no map, and for what is no error', () => {
    const trace = 'at main (file:///nowhere/index.js:1:2)';
    expect(withSourceLines(trace)).to.equal(trace);
    for (const thrown of [undefined, 'text', null]) expect(() => showSourceLines(thrown)).not.to.throw();
  });
});
