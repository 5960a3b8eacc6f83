import { expect } from 'chai';
import { splitRow } from '#signalbox/orm/row.js';

describe('splitRow', () => {
  const rows: readonly [string, (string | null)[]][] = [
    ['(1)', ['1']],
    ['()', [null]],
    ['(,)', [null, null]],
    ['("")', ['']],
    ['(,"",)', [null, '', null]],
    ['(1,t,2026-01-01)', ['1', 't', '2026-01-01']],
    ['(7,"a, b",,"")', ['7', 'a, b', null, '']],
    ['("a ""b"" c","\\\\")', ['a "b" c', '\\']],
    ['("a\\"b","\\\\""")', ['a"b', '\\"']],
    ['("{1,2}","(1,""x y"")")', ['{1,2}', '(1,"x y")']],
    ['("line\nbreak"," ")', ['line\nbreak', ' ']],
    ['("""")', ['"']],
    ['(null,NULL)', ['null', 'NULL']],
  ];
  for (const [text, columns] of rows) {
    it(`splits ${JSON.stringify(text)}`, () => expect(splitRow(text)).to.deep.equal(columns));
  }

  for (const text of ['', '1', '(1', '("a)', '("a"b)', '("a\\")']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => splitRow(text)).to.throw(Error, `This is no text of a row: ${text}`);
    });
  }
});
