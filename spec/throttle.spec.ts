import { expect } from 'chai';
import { ConfigurationError, Throttle, Throttled, type ThrottleOptions } from 'signalbox';
import { TestClock } from 'signalbox/testing';

describe('A throttle', () => {
  let clock: TestClock;

  beforeEach(() => {
    clock = new TestClock();
  });

  /** How many of these attempts pass that come at once. */
  function passing(throttle: Throttle, key: string, attempts: number): number {
    let passed = 0;
    for (let each = 0; each < attempts; each += 1) {
      try {
        throttle.take(key);
        passed += 1;
      } catch {}
    }
    return passed;
  }

  function refusal(throttle: Throttle, key: string): Throttled {
    try {
      throttle.take(key);
    } catch (error) {
      if (error instanceof Throttled) return error;
    }
    throw new Error('It was no Throttled.');
  }

  it('lets ten attempts of a key pass at once, then one a minute', () => {
    const throttle = new Throttle(clock);
    expect(passing(throttle, 'ann', 60)).to.equal(10);
    clock.stand(59_999);
    expect(passing(throttle, 'ann', 1)).to.equal(0);
    clock.stand(1);
    expect(passing(throttle, 'ann', 5)).to.equal(1);
    clock.stand(600_000);
    expect(passing(throttle, 'ann', 60)).to.equal(10);
  });

  it('says when to try again, in its sentence and in milliseconds', () => {
    const throttle = new Throttle(clock, { burst: 1, every: 300_000, text: 'Too many attempts to log in.' });
    throttle.take('ann');
    const told = [0, 179_000, 120_000 - 500].map((milliseconds) => {
      clock.stand(milliseconds);
      const { message, status, code, retryAfter } = refusal(throttle, 'ann');
      return { message, status, code, retryAfter };
    });
    const answer = { status: 429, code: 'throttled' };
    expect(told).to.deep.equal([
      { ...answer, message: 'Too many attempts to log in. Try again in 5 minutes.', retryAfter: 300_000 },
      { ...answer, message: 'Too many attempts to log in. Try again in 3 minutes.', retryAfter: 121_000 },
      { ...answer, message: 'Too many attempts to log in. Try again in 2 seconds.', retryAfter: 1_500 },
    ]);
  });

  it('counts no attempt that it refuses, and each key by itself', () => {
    const throttle = new Throttle(clock, { burst: 2, every: 1_000 });
    expect(passing(throttle, 'ann', 1_000)).to.equal(2);
    expect(passing(throttle, 'ben', 1_000)).to.equal(2);
    clock.stand(1_000);
    expect(passing(throttle, 'ann', 1)).to.equal(1);
  });

  it('forgets a key, or gives one attempt back', () => {
    const throttle = new Throttle(clock, { burst: 3, every: 1_000 });
    expect(passing(throttle, 'ann', 3)).to.equal(3);
    throttle.giveBack('ann');
    expect(passing(throttle, 'ann', 3)).to.equal(1);
    throttle.forget('ann');
    throttle.giveBack('ben');
    expect([passing(throttle, 'ann', 5), passing(throttle, 'ben', 5)]).to.deep.equal([3, 3]);
  });

  it('remembers a limited number of keys, and forgets the one that was used longest ago', () => {
    const throttle = new Throttle(clock, { burst: 2, every: 1_000, keys: 2 });
    for (const key of ['ann', 'ben', 'ann', 'cid']) throttle.take(key);
    expect(passing(throttle, 'ann', 5)).to.equal(0);
    expect(passing(throttle, 'ben', 5)).to.equal(2);
  });

  const wrong: readonly [ThrottleOptions, string][] = [
    [{ burst: 0 }, 'Throttle.burst: is 0. Give a whole number from 1.'],
    [{ every: 0.5 }, 'Throttle.every: is 0.5. Give a whole number from 1.'],
    [{ keys: Number.NaN }, 'Throttle.keys: is NaN. Give a whole number from 1.'],
  ];
  for (const [options, text] of wrong) {
    it(`refuses what is no number of anything: ${text}`, () => {
      expect(() => new Throttle(clock, options)).to.throw(ConfigurationError, text);
    });
  }
});
