import { always, answered, given, leftOut, reworded } from './faults.js';
import type { Bug } from './plant.js';

/** What the session, the role and the transaction of a writer do to its events, and to what waits for its commit. */
export const writerSessionBugs: readonly Bug[] = [
  {
    name: 'an event shows dates and numbers as the session of its writer writes them',
    story: 'The statements of the log read rows with the settings that they find.',
    plant: { symbol: 'plainTexts', with: reworded('case when not (', 'case when false and not (') },
    caughtBy: ['log/session-settings'],
  },
  {
    name: 'a transaction goes on with settings of the framework',
    story: 'A statement that reads rows does not give the settings back.',
    plant: {
      symbol: 'formerTexts',
      with: reworded(`set_config('datestyle', _was.datestyle, true)`, '_was.datestyle'),
    },
    caughtBy: ['log/session-settings'],
  },
  {
    name: 'a patch compares a number as the session writes it',
    story: 'The statement compares texts of parameters, which PostgreSQL makes when it plans.',
    plant: {
      symbol: 'updateSql',
      with: answered((text: string) => text.replace('_v.v0::text', '$5::double precision::text')),
    },
    caughtBy: ['log/session-settings'],
  },
  {
    name: 'a process starts with sessions whose values the driver reads wrongly',
    story: 'Nothing asks for the settings of the session.',
    plant: {
      symbol: 'serverQuery',
      with: (original: string) => original.replace(/concat_ws\(.*\) as unreadable/, `'' as unreadable`),
    },
    caughtBy: ['log/session-settings'],
  },
  {
    name: 'a row that a policy hides from its writer is told as deleted',
    story: 'A row that is not found is taken for one that is gone.',
    plant: { symbol: 'hiddenRow', with: always('null') },
    caughtBy: ['log/row-level-security'],
  },
  {
    name: 'a link to a row that a policy hides is not told',
    story: 'A row that cannot be locked is taken for one that is gone.',
    plant: { symbol: 'RowReader.requireVisible', with: leftOut },
    caughtBy: ['log/row-level-security'],
  },
  {
    name: 'a commit is refused for the rights of its role without a word about the change log',
    story: 'The error of the database is passed on as it is.',
    plant: { symbol: 'entryFault', with: always(undefined) },
    caughtBy: ['log/row-level-security'],
  },
  {
    name: 'work waits for no commit in a database whose models nobody observes',
    story: 'The application uses the logs of observed models alone.',
    plant: { symbol: 'canHaveLog', with: always(false) },
    caughtBy: ['log/after-commit'],
  },
  {
    name: 'work is kept for a commit that nothing tells of',
    story: 'Every transaction is taken for one that MikroORM began.',
    plant: { symbol: 'ConnectionPool.knows', with: always(true) },
    caughtBy: ['log/after-commit'],
  },
  {
    name: 'work is dropped without a word behind the end of the application',
    story: 'The caller is not told that the work will not run.',
    plant: {
      symbol: 'afterCommit',
      in: 'log/after-commit',
      with:
        (original: (...parameters: unknown[]) => void) =>
        (...parameters: unknown[]): void => {
          try {
            original(...parameters);
          } catch {
            // It was refused.
          }
        },
    },
    caughtBy: ['log/after-commit'],
  },
  {
    name: 'work runs at once in a transaction that was begun on a fork, and is rolled back',
    story: 'The manager that the caller names is not looked at.',
    plant: { symbol: 'afterCommit', in: 'log/after-commit', with: given((work: unknown) => [work]) },
    caughtBy: ['log/after-commit'],
  },
  {
    name: 'what work outside of any transaction throws is not in the log',
    story: 'The error becomes a warning of the process.',
    plant: {
      symbol: 'runNow',
      with: () => async (work: () => Promise<unknown>) => void (await work().catch(() => {})),
    },
    caughtBy: ['log/after-commit'],
  },
  {
    name: 'an upsert is stored although its entry is not',
    story: 'The upsert is a transaction of its own.',
    plant: { symbol: 'wrapUpserts', with: always(undefined) },
    caughtBy: ['log/upserts'],
  },
  {
    name: 'an upsert waits for ever for a hook that needs its connection',
    story: 'The upsert begins a transaction although code of the application runs in it.',
    plant: { symbol: 'hasUpsertHooks', with: always(false) },
    caughtBy: ['log/upserts'],
  },
];
