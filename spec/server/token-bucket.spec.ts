import { expect } from 'chai';
import fc from 'fast-check';
import { TokenBucket } from '#signalbox/server/rate-limit.js';
import { checkProperty } from '../support/properties.js';

describe('A token bucket', () => {
  it('gives its burst at once, then its rate, and says when the next will be there', () => {
    const bucket = new TokenBucket(10, 3, 1_000);
    expect([1, 1, 1, 1].map((count) => bucket.take(count, 1_000))).to.deep.equal([0, 0, 0, 100]);
    expect(bucket.take(1, 1_099)).to.equal(1);
    expect(bucket.take(1, 1_100)).to.equal(0);
    expect(bucket.take(2, 1_100)).to.equal(200);
  });

  it('is full after a quiet time, and never more than full', () => {
    const bucket = new TokenBucket(10, 3, 0);
    bucket.take(3, 0);
    expect(bucket.isFull(299)).to.equal(false);
    expect(bucket.isFull(300)).to.equal(true);
    expect([1, 1, 1, 1].map((count) => bucket.take(count, 100_000))).to.deep.equal([0, 0, 0, 100]);
  });

  it('neither gives nor takes when the clock is set back', () => {
    const bucket = new TokenBucket(10, 2, 10_000);
    bucket.take(2, 10_000);
    expect(bucket.take(1, 0)).to.equal(100);
    expect(bucket.take(1, 100)).to.equal(0);
  });

  it('never gives more than burst and rate allow in any stretch of time, and what it promises (any calls)', () => {
    const call = fc.record({ wait: fc.integer({ min: 0, max: 500 }), count: fc.integer({ min: 1, max: 5 }) });
    checkProperty(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 5, max: 20 }),
        fc.array(call),
        (rate, burst, calls) => {
          const bucket = new TokenBucket(rate, burst, 0);
          let now = 0;
          let given = 0;
          for (const { wait, count } of calls) {
            now += wait;
            const late = bucket.take(count, now);
            if (late === 0) given += count;
            expect(given).to.be.at.most(burst + (now / 1_000) * rate + 1e-6);
            if (late === 0) continue;
            now += late;
            // A millisecond more: what a computer adds up is never exact.
            expect(bucket.take(count, now + 1)).to.equal(0);
            now += 1;
            given += count;
          }
        },
      ),
    );
  });
});
