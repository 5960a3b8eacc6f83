import { createInterface } from 'node:readline/promises';
import { always, leftOut } from './faults.js';
import type { Bug } from './plant.js';

/** What start-up has to find, and what the declarations of a consumer may say. */
export const startupBugs: readonly Bug[] = [
  {
    name: 'an unregistered token fails at the first frame',
    story: 'Only the providers that options and decorators name are checked, and not what these ask for.',
    plant: { symbol: 'dependenciesOf', in: 'scope/provider-checks', with: always([]) },
    caughtBy: ['scope/provider-checks'],
  },
  {
    name: 'a class with a decorator of another library gets nothing in its constructor',
    story: 'The types that the compiler wrote down are taken for a decorator of the container.',
    plant: { symbol: 'knowsParameters', with: always(true) },
    caughtBy: ['scope/provider-checks'],
  },
  {
    name: 'a subclass that builds its base by itself is refused',
    story: 'The parameters of the base are taken for those of the subclass.',
    plant: { symbol: 'declaresConstructor', with: always(false) },
    caughtBy: ['scope/provider-checks'],
  },
  {
    name: 'a second copy of tsyringe is called a missing decorator',
    story: 'Only the own copy is looked at.',
    plant: { symbol: 'loadedModules', with: always(new Map()) },
    caughtBy: ['copies'],
  },
  {
    name: 'a method with a decorator of a second copy of Signalbox is no action, without a word',
    story: 'The notes of another copy are not looked for.',
    plant: { symbol: 'bearsForeignNotes', with: always(false) },
    caughtBy: ['copies'],
  },
  {
    name: 'an application on a PostgreSQL server installs the files of an embedded database for production',
    story: 'Only the driver is moved to what the specs need.',
    plant: { symbol: 'ofEmbeddedDatabase', with: () => ['@mikro-orm/pglite'] },
    caughtBy: ['cli/new/new-application'],
  },
  {
    name: 'make:spec writes a spec that does not compile, where the application takes more than an ORM',
    story: 'Any function of that name is called with an ORM alone.',
    plant: { symbol: 'applicationOfOrm', with: () => /^export function createApplication\(/m },
    caughtBy: ['cli/make/make'],
  },
  {
    name: 'a terminal shows what is typed twice at the second question, and three times at the third',
    story: 'The listener by which Node lets go of the terminal is removed with our own.',
    plant: {
      symbol: 'ask',
      in: 'cli/ask',
      with: () => async (question: string, input: NodeJS.ReadableStream, output: NodeJS.WritableStream) => {
        const reader = createInterface({ input, output });
        const answer = await reader.question(question);
        reader.removeAllListeners('close').close();
        return answer;
      },
    },
    caughtBy: ['cli/ask'],
  },
  {
    name: 'clients delete by an action that the consumer has taken away',
    story: 'The method is found on the class that is extended.',
    plant: { symbol: 'takeActionAway', with: leftOut },
    caughtBy: ['consumers/without'],
  },
  {
    name: 'after a login, a client hears what the consumer had subscribed to for the former user',
    story: 'The subscriptions of the former user are not ended.',
    plant: { symbol: 'Subscriptions.endAll', with: always(new Set()) },
    caughtBy: ['consumers/own-subscriptions'],
  },
  {
    name: 'the warning of an unreported write names no line of the application',
    story: 'The stack is looked at when the statement is sent.',
    plant: { symbol: 'duringUnreportedCall', with: () => (run: () => unknown) => run() },
    caughtBy: ['dcrf/unreported-writes'],
  },
];
