import { always, given, leftOut, made } from './faults.js';
import type { Bug } from './plant.js';

type Work = () => Promise<unknown>;

interface Patience {
  readonly isWanted?: () => boolean;
}

/** What can go wrong where the database fails while a change is told, and where a change cannot be told. */
export const lostSessionsBugs: readonly Bug[] = [
  {
    name: 'a change is lost where the database fails for a moment while it is read',
    story: 'An entry whose rows have to be read from their table is read once.',
    plant: {
      symbol: 'changesOrNone',
      with: given((decoding: object, ...rest) => [{ ...decoding, retryTimeLimit: 0 }, ...rest]),
    },
    caughtBy: ['walks/lost-sessions'],
  },
  {
    name: 'a change is lost where the database fails for a moment while it is announced',
    story: 'What reads relations and asks groups takes a failure that passes for one that stays.',
    plant: { symbol: 'PassingFailures.note', with: always(false) },
    caughtBy: ['walks/lost-sessions'],
  },
  {
    name: 'a change is lost where the database fails for a moment while it is delivered',
    story: 'Permissions and observers are called once.',
    plant: {
      symbol: 'outlastFailures',
      with: (original: (work: Work, patience: Patience) => unknown) => (work: Work, patience: Patience) =>
        patience.isWanted ? work() : original(work, patience),
    },
    caughtBy: ['walks/lost-sessions'],
  },
  {
    name: 'a client that has missed an event because the database failed for long is not told so',
    story: 'The delivery gives up, and leaves the connection as it is.',
    plant: { symbol: 'ConsumerSession.missEvent', with: leftOut },
    caughtBy: ['walks/lost-sessions'],
  },
  {
    name: 'clients that have missed a change which could not be announced are not told so',
    story: 'The publisher gives up, and closes no connection.',
    plant: {
      symbol: 'EventPublisher',
      with: made((...all: readonly unknown[]) => all.with(-1, () => undefined)),
    },
    caughtBy: ['walks/lost-sessions'],
  },
  {
    name: 'clients hear nothing of rows that are too many to be told',
    story: 'Nobody looks which models an entry without rows is about.',
    plant: { symbol: 'untoldClasses', with: always([]) },
    caughtBy: ['log/untold-rows'],
  },
  {
    name: 'a commit that is too large closes the connections of all clients',
    story: 'Each subscription is taken for one that the commit concerns.',
    plant: { symbol: 'Connection.listensTo', with: always(true) },
    caughtBy: ['log/untold-rows'],
  },
  {
    name: 'a user whom a rule would have disconnected stays, where the change was too large to be told',
    story: 'Rules are not asked whether they look at the model.',
    plant: { symbol: 'ConnectionRules.concern', with: always(false) },
    caughtBy: ['log/untold-rows'],
  },
  {
    name: 'nothing counts that the log cannot be pruned',
    story: 'The retention tells the log alone.',
    plant: {
      symbol: 'Retention',
      with: made((em, settings, logger, _failed, ...rest) => [em, settings, logger, () => undefined, ...rest]),
    },
    caughtBy: ['log/retention'],
  },
];
