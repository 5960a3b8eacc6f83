import { expect } from 'chai';
import { MemoryCounters } from 'signalbox/testing';

describe('The counters of the testing kit', () => {
  it('keep a count for each set of labels, whatever their order', () => {
    const counters = new MemoryCounters();
    counters.increment('replies');
    counters.increment('replies', { status: '200', action: 'list' });
    counters.increment('replies', { action: 'list', status: '200' });
    expect(counters.count('replies')).to.equal(1);
    expect(counters.count('replies', { status: '200', action: 'list' })).to.equal(2);
    expect(counters.count('replies', { status: '404', action: 'list' })).to.equal(0);
  });

  it('keep the last value of a gauge', () => {
    const counters = new MemoryCounters();
    expect(counters.value('connections')).to.equal(undefined);
    counters.gauge('connections', 2);
    counters.gauge('connections', 1);
    expect(counters.value('connections')).to.equal(1);
  });
});
