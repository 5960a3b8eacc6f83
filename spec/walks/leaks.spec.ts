import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Inn, stories } from '../support/comings-and-goings.js';
import { isFlat, type Window, windowsUntilFlat } from '../support/heap-growth.js';

/** The first window is as long as the warm-up. For longer ones: `LEAK_CYCLES=20000`. */
const warmUp = Number(process.env['LEAK_CYCLES'] ?? 1_000);
const most = { healthy: 16 * warmUp, leaky: 4 * warmUp };
/** Under heavy load a client comes and goes in 10 ms, on an idle machine in half of one. */
const timeLimit = 60_000 + 20 * most.healthy;

/** Compiled code and what is noted for it come and go in the heap as well; without them, what grows is what the program keeps. */
const interpreted = [
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--no-flush-bytecode',
  '--no-lazy-feedback-allocation',
];

/** The heap of a process of its own, in which clients come and go. */
async function windowsOf(kind: 'healthy' | 'leaky'): Promise<readonly Window[]> {
  const script = fileURLToPath(new URL('../support/heap-process.js', import.meta.url));
  const counts = [warmUp, most[kind], kind === 'leaky' ? 1 : 0];
  const child = fork(script, counts.map(String), { execArgv: ['--expose-gc', ...interpreted] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The measured process ended with ${code} and has told nothing.`);
  });
  const [windows] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {});
  return windows;
}

function listenersOfProcess(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}

describe('Clients that connect, subscribe, cancel and disconnect in every order', () => {
  let inn: Inn;

  before(async () => {
    inn = await Inn.open();
  });
  after(() => inn.close());

  it('leave no subscriptions, groups, timers, containers and listeners behind', async () => {
    const listeners = listenersOfProcess();
    await inn.host(3 * stories.length);
    inn.clock.advance(10_000);
    expect(inn.layer.groupCount).to.equal(0);
    expect(inn.clock.waiting).to.equal(0);
    expect(inn.guests).to.equal(0);
    expect(listenersOfProcess()).to.equal(listeners);
  });

  describe('once the process is warm', () => {
    let healthy: readonly Window[];
    let leaky: readonly Window[];

    before(async function () {
      this.timeout(timeLimit);
      [healthy, leaky] = await Promise.all([windowsOf('healthy'), windowsOf('leaky')]);
    });

    it('leave less than a byte each in the heap', () => {
      expect(healthy.at(-1), JSON.stringify(healthy)).to.satisfy(isFlat);
    });

    it('would be found out if each of them left one reference of 8 bytes', () => {
      expect(leaky.map(({ cycles }) => cycles)).to.deep.equal([warmUp, 2 * warmUp]);
      expect(leaky.filter(isFlat)).to.deep.equal([]);
    });
  });
});

describe('A heap that is watched until it is flat', () => {
  /** The windows of a heap that has so many bytes after so many cycles. */
  function windowsOfHeap(bytesAfter: (cycles: number) => number): Promise<readonly Window[]> {
    let lived = 0;
    const run = async (cycles: number): Promise<void> => {
      lived += cycles;
    };
    return windowsUntilFlat({ run, heapUsed: async () => bytesAfter(lived) }, { warmUp: 2_000, most: 32_000 });
  }

  const growthsOf = async (bytesAfter: (cycles: number) => number): Promise<number[]> =>
    (await windowsOfHeap(bytesAfter)).map(({ growth }) => growth);

  it('is flat in the first window where the warm-up was long enough', async () => {
    expect(await windowsOfHeap(() => 5_000_000)).to.deep.equal([{ cycles: 2_000, growth: 0 }]);
    expect(await growthsOf((cycles) => (cycles > 2_000 ? 736 : 0))).to.deep.equal([736]);
  });

  it('is given more time where the warm-up takes longer', async () => {
    expect(await growthsOf((cycles) => Math.min(cycles, 3_100) * 20)).to.deep.equal([22_000, 0]);
    expect(await growthsOf((cycles) => (cycles > 6_000 ? 16_384 : cycles * 4))).to.deep.equal([8_000, 384]);
    expect(await growthsOf((cycles) => Math.min(cycles, 12_000) * 4)).to.deep.equal([8_000, 16_000, 16_000, 0]);
  });

  it('is not flat while it shrinks', async () => {
    expect(await growthsOf((cycles) => (cycles < 3_000 ? 50_000 : 0))).to.deep.equal([-50_000, 0]);
  });

  for (const [how, bytesAfter] of [
    ['one by one', (cycles) => 8 * cycles],
    ['in an array, which grows by half', (cycles) => 8 * capacity(cycles, (size) => Math.floor(size * 1.5) + 16)],
    ['in a map, which doubles', (cycles) => 8 * capacity(cycles, (size) => size * 2)],
    ['behind a warm-up', (cycles) => 8 * cycles + Math.min(cycles, 4_000) * 20],
  ] satisfies [string, (cycles: number) => number][]) {
    it(`is never flat where 8 bytes a cycle are kept ${how}`, async () => {
      const windows = await windowsOfHeap(bytesAfter);
      expect(windows.map(({ cycles }) => cycles)).to.deep.equal([2_000, 4_000, 8_000, 16_000]);
      expect(windows.filter(isFlat)).to.deep.equal([]);
    });
  }

  /** How many elements there is room for, where room is made in steps. */
  function capacity(elements: number, next: (size: number) => number): number {
    let size = 16;
    while (size < elements) size = next(size);
    return size;
  }
});
