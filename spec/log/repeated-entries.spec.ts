import { expect } from 'chai';
import { RepeatedEntries } from '#signalbox/log/log-decoder.js';

describe('Entries that were written twice', () => {
  it('are known by their ids, as many as are remembered', () => {
    const repeated = new RepeatedEntries(2);
    const seen = ['a', 'a', 'b', 'c', 'b', 'a'].map((id) => repeated.has({ id }));
    expect(seen).to.deep.equal([false, true, false, false, true, false]);
  });

  it('are none without an id', () => {
    const repeated = new RepeatedEntries();
    expect([repeated.has({}), repeated.has({})]).to.deep.equal([false, false]);
  });
});
