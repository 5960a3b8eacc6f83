import type { Settings } from 'signalbox';
import { always, answered, given } from './faults.js';
import type { Bug } from './plant.js';

interface Checked {
  readonly dropped: readonly string[];
}

let keys = 0;

/** What a client can make its connection keep. */
export const connectionMemoryBugs: readonly Bug[] = [
  {
    name: 'what a client adds to a subscription is kept with it',
    story: 'All kwargs count as known to the action.',
    plant: {
      symbol: 'checkKwargs',
      with: answered(async (checked: Promise<Checked>) => ({ ...(await checked), dropped: [] })),
    },
    caughtBy: ['consumers/kept-kwargs'],
  },
  {
    name: 'a subscription that is asked for again is kept again',
    story: 'Its key is another one each time.',
    plant: {
      symbol: 'subscribingRequest',
      with: answered((request: object) => {
        keys += 1;
        return { ...request, key: String(keys) };
      }),
    },
    caughtBy: ['consumers/kept-kwargs'],
  },
  {
    name: 'one request id may have any number of subscriptions',
    story: 'The first request of an id is counted.',
    plant: {
      symbol: 'Subscriptions.note',
      with: (original: (record: Noted, request: object) => () => void) =>
        function (this: { readonly count: { subscriptions: number } }, record: Noted, request: object): () => void {
          if (record.requests.length > 0) this.count.subscriptions -= 1;
          return original.call(this, record, request);
        },
    },
    caughtBy: ['consumers/quotas'],
  },
  {
    name: 'subscriptions and requests of any size are kept',
    story: 'Nothing is said to take any heap.',
    plant: { symbol: 'heapBytesOf', with: always(0) },
    caughtBy: ['consumers/quotas', 'wire/heap-bytes'],
  },
  {
    name: 'a frame of many empty objects takes twenty times what it is counted as',
    story: 'The characters of its text are counted.',
    plant: { symbol: 'heapBytesOf', with: () => (value: unknown) => JSON.stringify(value ?? null).length },
    caughtBy: ['wire/heap-bytes'],
  },
  {
    name: 'events of any size wait for a slow permission',
    story: 'Events are counted, and their texts are not.',
    plant: {
      symbol: 'Quotas.limitOfEvents',
      with: given((count: number) => [count, Number.NEGATIVE_INFINITY]),
    },
    caughtBy: ['consumers/waiting-events'],
  },
  {
    name: 'tiny frames that a client does not read take ten times its limit',
    story: 'Their text is counted, and what keeps them in order is not.',
    plant: { symbol: 'frameBytes', in: 'server/outbound-queue', with: () => 0 },
    caughtBy: ['server/outbound-queue', 'walks/connection-memory'],
  },
  {
    name: 'a page of 250 rows that are followed one by one is refused',
    story: 'The defaults allow 128 subscriptions.',
    plant: {
      symbol: 'completeSettings',
      with: answered((all: Settings) => ({ ...all, limits: { ...all.limits, subscriptions: 128 } })),
    },
    caughtBy: ['walks/page-of-rows'],
  },
  {
    name: '250 requests that are sent at once are refused',
    story: 'The defaults let 64 requests wait.',
    plant: {
      symbol: 'completeSettings',
      with: answered((all: Settings) => ({ ...all, limits: { ...all.limits, waitingRequests: 64 } })),
    },
    caughtBy: ['walks/page-of-rows'],
  },
];

interface Noted {
  readonly requests: readonly unknown[];
}
