import { always, reworded } from './faults.js';
import type { Bug } from './plant.js';

/** One-statement writes that say something else in one place. */
function sql(passage: string, instead: string) {
  const change = reworded(passage, instead);
  return (original: (...given: unknown[]) => string) =>
    (...given: unknown[]): string =>
      change(original(...given));
}

export const writeBugs: readonly Bug[] = [
  {
    name: 'a patch that changes nothing is written and told',
    story: 'The statement compares no values.',
    plant: { symbol: 'updateSql', with: sql(' and (', ' and (true or ') },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a write by one statement leaves no entry in the log',
    story: 'The application is told that nobody observes the model.',
    plant: {
      symbol: 'ChangeLog.oneRow',
      with: () => async () => ({ logged: undefined }),
    },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a row is shown as it was before a trigger behind its write',
    story: 'Nobody asks the table for its triggers.',
    plant: { symbol: 'askTriggers', with: () => async () => false },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a reply shows rows of the same table as they were before the write',
    story: 'Nobody asks whether the statement has to look at its own table.',
    plant: { symbol: 'isShownBySql', with: always(true) },
    caughtBy: ['consumers/model-writes'],
  },
];
