import { currentWork } from '#signalbox/async-context.js';
import { always, given, leftOut } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong while it is open whose connection it is. `npm run fuzz` finds each of them too. */
export const loginBugs: readonly Bug[] = [
  {
    name: 'another stream is served as the user of a login that fails',
    story: 'A login counts for all requests of the connection as soon as it is called.',
    plant: {
      symbol: 'Ownership.propose',
      with: () =>
        function (this: object, facts: object) {
          Object.assign(this, facts);
          return true;
        },
    },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'requests begin for the former user while a login is not answered',
    story: 'They do not wait for its outcome.',
    plant: { symbol: 'Ownership.holdUntil', with: always(undefined) },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'a login that fails leaves the connection in groups of its user',
    story: 'What its request has joined is not left again.',
    plant: {
      symbol: 'Connection.switchUser',
      with: (original: () => Promise<void>) =>
        function (this: object) {
          return currentWork.getStore() ? original.call(this) : Promise.resolve();
        },
    },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'behind a login, events are sent before the permissions to connect have answered',
    story: 'They wait for no answer.',
    plant: { symbol: 'Connection.holdEvents', with: leftOut },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'a login that its action forgets ends the process',
    story: 'Where the request has ended, nothing handles its rejection.',
    plant: {
      symbol: 'ConnectionRegistry.noteRefusal',
      with: () => (_scope: object, error: unknown) => {
        throw error;
      },
    },
    caughtBy: ['authentication/login'],
  },
  {
    name: 'a channel hears a group that it has left',
    story: 'Channels of a large group get a message in their turn, whether or not they have left meanwhile.',
    plant: {
      symbol: 'SlicedDelivery.send',
      with: given((channels: readonly string[], message: object) => [channels, message]),
    },
    caughtBy: ['channel-layer/in-memory-channel-layer'],
  },
];
