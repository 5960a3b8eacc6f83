import { always, given, leftOut, made } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong between processes of one database. */
export const severalProcessesBugs: readonly Bug[] = [
  {
    name: 'what another process commits is told with the next poll',
    story: 'Nobody rings.',
    plant: { symbol: 'Doorbell.ring', with: leftOut },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'each commit on a database of one connection notifies nobody',
    story: 'The doorbell hangs on PGlite too, where no other process can hear it.',
    plant: { symbol: 'isEmbedded', with: always(false) },
    caughtBy: ['log/doorbell'],
  },
  {
    name: 'a process that is alone rings for each commit',
    story: 'A ring that it sent through the pool is taken for that of another process.',
    plant: {
      symbol: 'Notifications.notify',
      with: given((channel: string, payloads: readonly string[]) => [
        channel,
        channel === 'signalbox_log' ? payloads.map((payload) => payload.replace(/ .*/, '')) : payloads,
      ]),
    },
    caughtBy: ['log/doorbell'],
  },
  {
    name: 'a connection that listens is sent statements side by side, which pg 9 refuses',
    story: 'A statement does not wait for the answer to the one before.',
    plant: { symbol: 'oneAfterTheOther', with: leftOut },
    caughtBy: ['log/notifications'],
  },
  {
    name: 'two processes that were started together never ring each other',
    story: 'A process that begins to listen says nothing, and takes itself for alone.',
    plant: {
      symbol: 'Notifications.notify',
      with: given((channel: string, payloads: readonly string[]) => [
        channel,
        payloads.filter((payload) => !payload.startsWith('hello')),
      ]),
    },
    caughtBy: ['log/doorbell'],
  },
  {
    name: 'where LISTEN does not work, the log is read every 30 s',
    story: 'The reader believes that whatever is committed rings.',
    plant: { symbol: 'LogReader', with: made((options: object) => [{ ...options, bell: { isHeard: true } }]) },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'a user who was closed comes back and is closed again',
    story: 'The process that sent a command applies it twice: at once, and when it reads its own entry.',
    plant: {
      symbol: 'decodeCommits',
      with:
        (original: (...given: unknown[]) => Promise<readonly Decoded[]>) =>
        async (...parameters: unknown[]) =>
          (await original(...parameters)).map((commit) => ({
            ...commit,
            commands: commit.commands.map((command) => ({ ...command, source: 'another one' })),
          })),
    },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'an order is forgotten while the database is away',
    story: 'It is tried once.',
    plant: {
      symbol: 'LooseEntries',
      with: made((write: (entries: readonly string[]) => Promise<void>, ...more: readonly unknown[]) => [
        (entries: readonly string[]) => write(entries).catch(() => {}),
        ...more,
      ]),
    },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'a user whose rights were taken hears of later commits while they are looked at',
    story: 'Events do not wait for the answer.',
    plant: { symbol: 'EventDelivery.holdUntil', with: leftOut },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'a worker logs what it knew to be observed when it began',
    story: 'What other processes observe is read once.',
    plant: {
      symbol: 'Doorbell',
      with: made((notifications: object, options: { readonly rung: (ring: string) => void }) => [
        notifications,
        { ...options, rung: (ring: string) => ring === 'log' && options.rung(ring) },
      ]),
    },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'a worker logs nothing until an application has been started',
    story: 'Where nobody has said what is observed, nothing is.',
    plant: { symbol: 'readModels', with: always(Promise.resolve(new Map([['Nothing', {}]]))) },
    caughtBy: ['log/several-applications'],
  },
  {
    name: 'one ticket opens two sockets',
    story: 'It is looked up, and deleted afterwards.',
    plant: {
      symbol: 'statementRunner',
      with:
        (original: (...given: unknown[]) => Run) =>
        (...parameters: unknown[]): Run => {
          const run = original(...parameters);
          return (statement, values) =>
            statement.text.startsWith('delete from signalbox.ticket where key')
              ? run(
                  { text: 'select identity, origin, ends_at as "endsAt" from signalbox.ticket where key = $1' },
                  values,
                )
              : run(statement, values);
        },
    },
    caughtBy: ['log/table-ticket-store'],
  },
];

interface Decoded {
  readonly commands: readonly object[];
}

type Run = (statement: { readonly text: string }, values: readonly unknown[]) => Promise<unknown>;
