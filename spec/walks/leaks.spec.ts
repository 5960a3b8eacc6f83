import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Inn, stories } from '../support/comings-and-goings.js';

/** So many on demand: LEAK_CYCLES=10000. */
const cycles = Number(process.env['LEAK_CYCLES'] ?? 1_000);
const windows = 3;

/** Compiled code and what is noted for it come and go in the heap as well; without them, what grows is what the program keeps. */
const interpreted = [
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--no-flush-bytecode',
  '--no-lazy-feedback-allocation',
];

/** Bytes by which the heap of a process of its own grew in each window. */
async function growths(): Promise<number[]> {
  const script = fileURLToPath(new URL('../support/heap-process.js', import.meta.url));
  const child = fork(script, [String(cycles), String(windows)], { execArgv: ['--expose-gc', ...interpreted] });
  const [told] = (await once(child, 'message')) as [number[]];
  return told;
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

  it(`leave less than 1 kB in the heap, a thousand of them, in windows of ${cycles}`, async function () {
    this.timeout(60_000 + windows * cycles * 20);
    const [, median = Number.NaN] = (await growths()).toSorted((one, other) => one - other);
    expect(median).to.be.below(1_000 * (cycles / 1_000));
  });
});
