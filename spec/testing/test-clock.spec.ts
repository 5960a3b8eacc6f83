import { expect } from 'chai';
import { Clock } from 'signalbox';
import { TestClock } from 'signalbox/testing';

describe('The clock of the testing kit', () => {
  it('is a clock, and stands still', () => {
    const clock = new TestClock();
    expect(clock).to.be.instanceOf(Clock);
    expect(clock.now().toISOString()).to.equal('2026-01-01T00:00:00.000Z');
    expect(clock.now().toISOString()).to.equal('2026-01-01T00:00:00.000Z');
    expect(new TestClock(new Date('2020-02-02')).now().toISOString()).to.equal('2020-02-02T00:00:00.000Z');
  });

  it('calls back what is due on the way, in the order of its time, at its time', () => {
    const clock = new TestClock();
    const told: string[] = [];
    const tell = (name: string) => () => told.push(`${name} at ${clock.now().getUTCSeconds()}`);
    clock.after(3_000, tell('third'));
    clock.after(1_000, tell('first'));
    clock.after(2_000, tell('second'));
    clock.after(2_000, tell('also second'));
    clock.after(9_000, tell('later'));
    clock.advance(999);
    expect(told).to.deep.equal([]);
    clock.advance(3_001);
    expect(told).to.deep.equal(['first at 1', 'second at 2', 'also second at 2', 'third at 3']);
    expect(clock.now().getUTCSeconds()).to.equal(4);
    expect(clock.waiting).to.equal(1);
  });

  it('calls back what a callback asks for, if it is due as well', () => {
    const clock = new TestClock();
    const told: number[] = [];
    const tick = (): void => {
      told.push(clock.now().getUTCSeconds());
      clock.after(1_000, tick);
    };
    clock.after(1_000, tick);
    clock.advance(3_000);
    expect(told).to.deep.equal([1, 2, 3]);
    expect(clock.waiting).to.equal(1);
  });

  it('does not go back if a callback lets more time pass than it is moved by', () => {
    const clock = new TestClock();
    const start = clock.elapsed();
    clock.after(1_000, () => clock.stand(500));
    clock.advance(1_000);
    expect(clock.elapsed() - start).to.equal(1_500);
  });

  it('does not call back what is cancelled, also on the way', () => {
    const clock = new TestClock();
    const told: string[] = [];
    const later = clock.after(2_000, () => told.push('later'));
    clock.after(1_000, () => later.cancel());
    clock.advance(5_000);
    expect(told).to.deep.equal([]);
    expect(clock.waiting).to.equal(0);
  });
});
