import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { expect } from 'chai';
import { Clock } from 'signalbox';
import { TestClock } from 'signalbox/testing';
import { GuardedClock } from '#signalbox/clock.js';
import { within } from './support/deadline.js';

describe('The clock', () => {
  it('tells the time', () => {
    const before = Date.now();
    const now = new Clock().now().getTime();
    expect(now).to.be.within(before, Date.now());
  });

  it('tells for how long something takes', () => {
    const clock = new Clock();
    const before = clock.elapsed();
    expect(clock.elapsed()).to.be.at.least(before);
    const test = new TestClock();
    const begun = test.elapsed();
    test.advance(250);
    expect(test.elapsed() - begun).to.equal(250);
  });

  it('calls back once after the given number of milliseconds', async () => {
    const before = performance.now();
    const called: string[] = [];
    const clock = new Clock();
    const never = clock.after(60_000, () => called.push('a minute later'));
    await within(new Promise<void>((resolve) => void clock.after(20, resolve)), 'The call');
    never.cancel();
    // Node counts whole milliseconds.
    expect(performance.now() - before).to.be.at.least(19);
    expect(called).to.deep.equal([]);
  });

  it('does not call back what was cancelled', async () => {
    const called: string[] = [];
    const clock = new Clock();
    const first = clock.after(1, () => called.push('cancelled'));
    first.cancel();
    first.cancel();
    const last = new AbortController();
    clock.after(5, () => last.abort());
    await within(once(last.signal, 'abort'), 'The call of the other timer');
    expect(called).to.deep.equal([]);
  });

  it('calls the framework back outside of the context in which it asked: a timer may serve many connections', async () => {
    const context = new AsyncLocalStorage<string>();
    const clock = new GuardedClock(new Clock(), () => {});
    const called = new Promise((resolve) => {
      context.run('a request', () => clock.after(1, () => resolve(context.getStore())));
    });
    expect(await within(called, 'The call')).to.equal(undefined);
  });

  it('does not keep the process alive', () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const timer = new Clock().after(60_000, () => {});
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout')).to.have.lengthOf(before);
    timer.cancel();
  });

  for (const wait of [2 ** 31, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
    it(`waits for ever, and not for a millisecond, where ${wait} are asked for`, async () => {
      const called: string[] = [];
      const timer = new Clock().after(wait, () => called.push('late'));
      await new Promise((resolve) => setTimeout(resolve, 5));
      timer.cancel();
      expect(called).to.deep.equal([]);
    });
  }
});
