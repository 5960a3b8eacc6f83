import { expect } from 'chai';
import { TestClock } from 'signalbox/testing';
import { SharedTimeLimit } from '#signalbox/dispatch/shared-time-limit.js';

describe('A shared time limit', () => {
  let clock: TestClock;
  let limit: SharedTimeLimit;
  let late: unknown[];

  beforeEach(() => {
    clock = new TestClock();
    limit = new SharedTimeLimit(clock, 100);
    late = [];
  });

  /** What became of the work so far. */
  function begin(): { readonly work: PromiseWithResolvers<string>; readonly settled: Promise<string> } {
    const work = Promise.withResolvers<string>();
    const held = limit.hold(work.promise, (error) => late.push(error));
    return { work, settled: held.catch((error: Error) => error.name) };
  }

  it('settles with work that ends in time', async () => {
    const [one, other] = [begin(), begin()];
    clock.advance(99);
    one.work.resolve('done');
    other.work.reject(new TypeError('no'));
    expect(await one.settled).to.equal('done');
    expect(await other.settled).to.equal('TypeError');
    expect(late).to.deep.equal([]);
  });

  it('ends each piece of work when its own time is over', async () => {
    const one = begin();
    clock.advance(60);
    const other = begin();
    clock.advance(40);
    expect(await one.settled).to.equal('TimeLimitExceeded');
    clock.advance(59);
    other.work.resolve('done');
    expect(await other.settled).to.equal('done');
    const third = begin();
    clock.advance(100);
    expect(await third.settled).to.equal('TimeLimitExceeded');
  });

  it('tells what fails after its time, once and to nobody else', async () => {
    const one = begin();
    clock.advance(100);
    one.work.reject(new TypeError('no'));
    expect(await one.settled).to.equal('TimeLimitExceeded');
    await new Promise((resolve) => setImmediate(resolve));
    expect(late.map(String)).to.deep.equal(['TypeError: no']);
  });

  it('keeps no timer where nothing runs', async () => {
    const { work, settled } = begin();
    expect(clock.waiting).to.equal(1);
    work.resolve('done');
    await settled;
    expect(clock.waiting).to.equal(0);
  });
});
