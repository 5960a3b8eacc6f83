import { expect } from 'chai';
import { Counters } from 'signalbox';
import { MemoryCounters } from 'signalbox/testing';
import { GuardedCounters } from '#signalbox/telemetry.js';

class BrokenCounters extends Counters {
  override increment(): void {
    throw new Error('No space left.');
  }

  override gauge(): void {
    throw new Error('No space left.');
  }
}

describe('Counters', () => {
  it('count nothing unless the application registers its own', () => {
    const counters = new Counters();
    expect(counters.increment('signalbox.refusals')).to.equal(undefined);
    expect(counters.gauge('signalbox.connections', 1)).to.equal(undefined);
  });

  it('that fail are logged, and disturb no caller', () => {
    const failures: unknown[] = [];
    const counters = new GuardedCounters(new BrokenCounters(), (error) => failures.push(String(error)));
    counters.increment('signalbox.refusals');
    counters.gauge('signalbox.connections', 3);
    expect(failures).to.deep.equal(['Error: No space left.', 'Error: No space left.']);
  });

  it('that are guarded count what they are told', () => {
    const memory = new MemoryCounters();
    const counters = new GuardedCounters(memory, () => {});
    counters.increment('signalbox.refusals', { status: '429' });
    counters.gauge('signalbox.connections', 3);
    expect(memory.count('signalbox.refusals', { status: '429' })).to.equal(1);
    expect(memory.value('signalbox.connections')).to.equal(3);
  });
});
