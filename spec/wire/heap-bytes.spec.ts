import { expect } from 'chai';
import { heapBytesOf } from '#signalbox/wire/heap-bytes.js';
import { memoryKept } from '../support/memory.js';

const copies = 20;
/** What comes and goes in the process meanwhile. */
const noise = 100_000;
let names = 0;

/** So that no two objects have a name in common. */
function newName(): string {
  names += 1;
  return names.toString(36);
}

function listOf(text: () => string, length = 1_000): string {
  return `[${Array.from({ length }, text).join(',')}]`;
}

/** The texts that take most, each of about the largest size that a frame may have. */
const texts: Readonly<Record<string, () => string>> = {
  'empty objects': () => listOf(() => listOf(() => '{}'), 20),
  'empty lists': () => listOf(() => listOf(() => '[]'), 20),
  'lists in lists': () => listOf(() => '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]'),
  'objects of one name each': () => listOf(() => listOf(() => `{"${newName()}":1}`, 500), 10),
  'objects of ten names each': () =>
    listOf(() => `{${Array.from({ length: 10 }, () => `"${newName()}":1`).join(',')}}`, 600),
  'an object of a thousand names': () => `{${Array.from({ length: 1_000 }, () => `"${newName()}":1`).join(',')}}`,
  'objects of the same names': () => listOf(() => '{"id":1,"name":"a","on":true}'),
  'short texts': () => listOf(() => listOf(() => `"${newName()}"`), 8),
  'a long text': () => `"${'x'.repeat(32_768)}"`,
  'a long text beyond Latin': () => `"${'ж'.repeat(32_768)}"`,
  'whole numbers': () => listOf(() => listOf(() => '1'), 30),
  fractions: () => listOf(() => listOf(() => '1.5'), 15),
  'fractions and texts': () => listOf(() => listOf(() => '1.5,""', 500), 18),
};

describe('The estimate of the heap that a value of JSON takes', () => {
  for (const [what, text] of Object.entries(texts)) {
    it(`is never too low: ${what}`, async () => {
      // A text that was put together takes more heap once it is read.
      const sources = Array.from({ length: copies }, () => String(Buffer.from(text())));
      const kept: unknown[] = [JSON.parse(text())];
      const before = await memoryKept();
      for (const source of sources) kept.push(JSON.parse(source));
      const held = (await memoryKept()) - before;
      expect(sources).to.have.length(copies);
      expect(copies * heapBytesOf(kept.at(-1)) + noise).to.be.at.least(held);
    });
  }

  it('is that of each part of a value', () => {
    expect(heapBytesOf(null)).to.equal(0);
    expect(heapBytesOf(true)).to.equal(0);
    expect(heapBytesOf(1)).to.equal(16);
    expect(heapBytesOf('four')).to.equal(40);
    expect(heapBytesOf([1, 'four'])).to.equal(56 + 8 + 16 + 8 + 40);
    expect(heapBytesOf({ pk: 1 })).to.equal(64 + 128 + 8 + 4 + 16);
    expect(heapBytesOf(new Set([1]))).to.equal(64 + 56 + 8 + 16);
    expect(heapBytesOf(Buffer.alloc(100))).to.equal(164);
  });

  it('leaves out what the caller holds anyway', () => {
    const own = { id: 1 };
    expect(heapBytesOf({ own }, (object) => object !== own)).to.equal(64 + 128 + 8 + 6);
  });
});
