import { expect } from 'chai';
import { createDatabase } from '../support/postgres.js';
import { Fuzz } from './fuzz.js';

/** So many moves find what is wrong in each of the ways that the bug zoo plants. */
const steps = 250;

describe('Clients that log in, log out, cancel, subscribe, leave and are kicked in any order', () => {
  let fuzz: Fuzz;

  before(async function () {
    this.timeout(60_000);
    fuzz = await Fuzz.start(await createDatabase('fuzz'));
  });
  after(() => fuzz.close());

  for (const seed of [1, 2, 3, 4])
    it(`hear nothing that their user of that moment may not (seed ${seed})`, async function () {
      this.timeout(120_000);
      await fuzz.run({ seed, steps, rounds: 1, milliseconds: Number.POSITIVE_INFINITY });
    });

  it('have heard of each kind, and have been each user', () => {
    const kinds = ['event', 'event of a topic', 'signal', 'message', 'revocation', 'status 499', 'status 504'];
    const users = ['at rest as ann', 'at rest as bob', 'at rest as eve', 'at rest as nobody'];
    expect([...fuzz.counts.keys()]).to.include.members([...kinds, ...users]);
  });
});
