import { expect } from 'chai';
import { NotAuthenticated, Throttled } from 'signalbox';
import { TestClock } from 'signalbox/testing';
import { Attempts } from '../../src/accounts/attempts.js';

describe('attempts to log in', () => {
  const right = async () => 'welcome';
  const wrong = () => Promise.reject(new NotAuthenticated());
  const failed = (error: unknown) => error;

  it('do not count where they succeed', async () => {
    const attempts = new Attempts(new TestClock());
    for (let each = 0; each < 100; each += 1)
      expect(await attempts.logIn('ada', '203.0.113.1', right)).to.equal('welcome');
  });

  it('are all there again for an account, and not for an address, where one succeeds', async () => {
    const attempts = new Attempts(new TestClock());
    const guess = () => attempts.logIn('ada', '203.0.113.1', wrong).catch(failed);
    for (let round = 0; round < 3; round += 1) {
      for (let each = 0; each < 9; each += 1) expect(await guess()).to.be.instanceOf(NotAuthenticated);
      await attempts.logIn('ada', '203.0.113.2', right);
    }
    for (let each = 0; each < 3; each += 1) expect(await guess()).to.be.instanceOf(NotAuthenticated);
    expect(await guess()).to.be.instanceOf(Throttled);
  });
});
