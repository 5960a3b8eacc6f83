import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { heapBytesOf } from '#signalbox/wire/heap-bytes.js';
import { within } from '../support/deadline.js';
import { largeJson } from '../support/large-json.js';
import type { MeasuredJson } from '../support/large-json-process.js';

/** What comes and goes in the process meanwhile. */
const noise = 100_000;

/** In a process that has loaded nothing else: where mocha has run other files, each of the hundred collections takes long. */
async function measureLargeJson(): Promise<readonly MeasuredJson[]> {
  const child = fork(fileURLToPath(new URL('../support/large-json-process.js', import.meta.url)));
  const [measured] = await within(once(child, 'message'), 'The measured heap', 60_000);
  return measured;
}

describe('The estimate of the heap that a value of JSON takes', function () {
  this.timeout(60_000);
  let measured: readonly MeasuredJson[];

  before(async () => {
    measured = await measureLargeJson();
  });

  for (const what of Object.keys(largeJson)) {
    it(`is never too low: ${what}`, () => {
      const { copies = 0, held = 0, estimate = 0 } = measured.find((each) => each.what === what) ?? {};
      expect(copies).to.equal(20);
      expect(copies * estimate + noise).to.be.at.least(held);
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

  it('leaves out instances of classes that the caller holds anyway', () => {
    const own = new (class Row {
      readonly id = 1;
    })();
    expect(heapBytesOf({ own }, (object) => object === own)).to.equal(64 + 128 + 8 + 6);
  });

  it('counts an object once that leads back to itself', () => {
    const circle: { self?: object } = {};
    circle.self = circle;
    expect(heapBytesOf(circle, () => false)).to.equal(64 + 128 + 8 + 8);
  });
});
