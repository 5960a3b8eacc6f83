import { setImmediate as nextTurn } from 'node:timers/promises';
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
  function begin(): { readonly work: PromiseWithResolvers<void>; readonly settled: Promise<string> } {
    const work = Promise.withResolvers<void>();
    const held = limit.hold(
      () => work.promise,
      (error) => late.push(error),
    );
    return {
      work,
      settled: held.then(
        () => 'done',
        (error: Error) => error.name,
      ),
    };
  }

  it('settles with work that ends in time', async () => {
    const [one, other] = [begin(), begin()];
    await nextTurn();
    clock.advance(99);
    one.work.resolve();
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
    other.work.resolve();
    expect(await other.settled).to.equal('done');
    const third = begin();
    clock.advance(100);
    expect(await third.settled).to.equal('TimeLimitExceeded');
  });

  it('tells what fails after its time, once and to nobody else', async () => {
    const one = begin();
    await nextTurn();
    clock.advance(100);
    one.work.reject(new TypeError('no'));
    expect(await one.settled).to.equal('TimeLimitExceeded');
    await nextTurn();
    expect(late.map(String)).to.deep.equal(['TypeError: no']);
  });

  it('is done at once with work that gives no promise, and with what such work throws', async () => {
    await limit.hold(
      () => {},
      () => {},
    );
    const broken = (): void => {
      throw new TypeError('no');
    };
    const error = await limit.hold(broken, () => {}).catch((thrown) => thrown);
    expect(String(error)).to.equal('TypeError: no');
    expect(clock.waiting).to.equal(0);
  });

  it('keeps no timer where nothing runs', async () => {
    const { work, settled } = begin();
    await nextTurn();
    expect(clock.waiting).to.equal(1);
    work.resolve();
    await settled;
    expect(clock.waiting).to.equal(0);
  });
});
