import { expect } from 'chai';
import fc from 'fast-check';
import type { Client, SignalboxError, Subscription } from 'signalbox/client';
import { checkAsyncProperty } from '../support/properties.js';
import { FakeNetwork, type FakeSocket, type Sent, settled } from './fake-network.js';

type State = Subscription<unknown>['state'];

/** What a request is said to have come to. */
type Outcome = 'none yet' | 'done' | 'connection_lost' | 'server_error';

/** The simplest model of what a client promises: lists, and which socket each thing was sent on. */
interface ModelSubscription {
  readonly id: number;
  state: State;
  isSent: boolean;
  wasLive: boolean;
  resyncs: number;
  readonly events: number[];
}
interface ModelRequest {
  readonly id: number;
  isSent: boolean;
  retries: number;
  outcome: Outcome;
}

/** `n` chooses which of the things there are; a step that cannot be taken is passed over. */
interface Step {
  readonly kind: keyof typeof steps;
  readonly n: number;
}

class Model {
  lastId = 0;
  isOpen = false;
  readonly subscriptions: ModelSubscription[] = [];
  readonly requests: ModelRequest[] = [];
  /** What was sent on the present socket. */
  sent: Sent[] = [];

  subscribe(): void {
    const id = ++this.lastId;
    this.subscriptions.push({ id, state: 'pending', isSent: false, wasLive: false, resyncs: 0, events: [] });
    this.#flush();
  }

  request(retries: number): void {
    this.requests.push({ id: ++this.lastId, isSent: false, retries, outcome: 'none yet' });
    this.#flush();
  }

  open(): void {
    this.isOpen = true;
    this.sent = [];
    this.#flush();
  }

  lose(): void {
    this.isOpen = false;
    for (const subscription of this.subscriptions) {
      subscription.isSent = false;
      if (subscription.state === 'live') subscription.state = 'pending';
    }
    for (const request of this.requests) {
      if (request.isSent && request.outcome === 'none yet' && request.retries-- === 0)
        request.outcome = 'connection_lost';
      request.isSent = false;
    }
  }

  cancel(subscription: ModelSubscription): void {
    if (isOver(subscription)) return;
    subscription.state = 'ended';
    if (subscription.isSent)
      this.sent.push({ action: 'unsubscribe', target: subscription.id, request_id: ++this.lastId });
  }

  #flush(): void {
    if (!this.isOpen) return;
    for (const [action, waiting] of [
      ['watch', this.subscriptions.filter((one) => !isOver(one))],
      ['ask', this.requests.filter(({ outcome }) => outcome === 'none yet')],
    ] as const) {
      for (const one of waiting) {
        if (one.isSent) continue;
        one.isSent = true;
        this.sent.push({ action, request_id: one.id });
      }
    }
  }
}

/** The client, and what it was heard to say. */
class Real {
  readonly network = new FakeNetwork();
  readonly client: Client<object>;
  readonly subscriptions: Subscription<{ data: number }>[] = [];
  readonly events: number[][] = [];
  readonly resyncs: number[] = [];
  readonly outcomes: Outcome[] = [];
  socket: FakeSocket | undefined;
  old: FakeSocket | undefined;

  constructor() {
    this.network.random = 0;
    this.client = this.network.createClient({ heartbeat: 0, timeout: 0 });
  }

  subscribe(): void {
    const place = this.subscriptions.length;
    const events: number[] = [];
    const listener = ({ data }: { data: number }): void => void events.push(data);
    const subscription = this.client.$subscribe<{ data: number }>(null, { action: 'watch' }, listener);
    subscription.onResync(() => (this.resyncs[place] = (this.resyncs[place] ?? 0) + 1));
    this.subscriptions.push(subscription);
    this.events.push(events);
    this.resyncs.push(0);
  }

  request(retry: boolean): void {
    const place = this.outcomes.push('none yet') - 1;
    this.client.$request(null, { action: 'ask' }, { retry }).then(
      () => (this.outcomes[place] = 'done'),
      ({ code }: SignalboxError) => (this.outcomes[place] = code as Outcome),
    );
  }

  async open(): Promise<void> {
    await this.network.advance(0);
    this.socket = this.network.socket;
    this.socket.open();
  }
}

type Take = (model: Model, real: Real, n: number) => Promise<void> | void;

let count = 0;

const steps = {
  subscribe: (model, real) => {
    model.subscribe();
    real.subscribe();
  },
  request: (model, real, n) => {
    const retry = n % 2 === 0;
    model.request(retry ? 3 : 0);
    real.request(retry);
  },
  open: async (model, real) => {
    if (model.isOpen) return;
    model.open();
    await real.open();
  },
  drop: (model, real) => {
    if (!model.isOpen) return;
    model.lose();
    real.old = real.socket;
    real.socket?.drop(1012);
  },
  cancel: (model, real, n) => {
    const subscription = pick(model.subscriptions, n);
    if (!subscription) return;
    model.cancel(subscription);
    real.subscriptions[model.subscriptions.indexOf(subscription)]?.cancel();
  },
  accept: (model, real, n) => {
    const subscription = pick(waiting(model), n);
    if (!subscription) return;
    subscription.state = 'live';
    if (subscription.wasLive) subscription.resyncs++;
    subscription.wasLive = true;
    real.socket?.reply(null, { status: 201, id: subscription.id });
  },
  refuse: (model, real, n) => {
    const subscription = pick(waiting(model), n);
    if (!subscription) return;
    subscription.state = 'refused';
    real.socket?.reply(null, { status: 403, code: 'permission_denied', id: subscription.id });
  },
  revoke: (model, real, n) => {
    const subscription = pick(live(model), n);
    if (!subscription) return;
    subscription.state = 'revoked';
    real.socket?.reply(null, { status: 403, code: 'revoked', id: subscription.id });
  },
  event: (model, real, n) => {
    const subscription = pick(live(model), n);
    if (!subscription) return;
    subscription.events.push(++count);
    real.socket?.reply(count, { id: subscription.id });
  },
  /** The server did not know yet that it was cancelled. */
  lateEvent: (model, real, n) => {
    const ended = pick(model.subscriptions.filter(isOver), n);
    if (ended && model.isOpen) real.socket?.reply(++count, { id: ended.id });
  },
  oldEvent: (model, real, n) => {
    const subscription = pick(model.subscriptions, n);
    if (subscription) real.old?.reply(++count, { id: subscription.id });
  },
  oldDrop: (_model, real) => real.old?.drop(),
  answer: (model, real, n) => {
    const request = pick(asked(model), n);
    if (!request) return;
    request.outcome = 'done';
    real.socket?.reply(null, { id: request.id });
  },
  fail: (model, real, n) => {
    const request = pick(asked(model), n);
    if (!request) return;
    request.outcome = 'server_error';
    real.socket?.reply(null, { status: 500, code: 'server_error', id: request.id });
  },
} satisfies Record<string, Take>;

function pick<T>(things: readonly T[], n: number): T | undefined {
  return things[n % Math.max(1, things.length)];
}

function isOver({ state }: ModelSubscription): boolean {
  return state !== 'pending' && state !== 'live';
}

function waiting({ subscriptions }: Model): ModelSubscription[] {
  return subscriptions.filter(({ state, isSent }) => state === 'pending' && isSent);
}

function live({ subscriptions }: Model): ModelSubscription[] {
  return subscriptions.filter(({ state }) => state === 'live');
}

function asked({ requests }: Model): ModelRequest[] {
  return requests.filter(({ outcome, isSent }) => outcome === 'none yet' && isSent);
}

const kinds = Object.keys(steps) as Step['kind'][];
const script = fc.array(fc.record({ kind: fc.constantFrom(...kinds), n: fc.nat(5) }), { maxLength: 60 });

describe('A client, whatever happens in whatever order,', () => {
  it('sends what the model sends, in its order, and tells what the model tells, once', async function () {
    this.timeout(600_000);
    await checkAsyncProperty(
      fc.asyncProperty(script, async (played) => {
        const [model, real] = [new Model(), new Real()];
        for (const { kind, n } of played) {
          const take: Take = steps[kind];
          await take(model, real, n);
          await settled();
          expect(shown(real), kind).to.deep.equal(expected(model));
        }
        real.client.$close();
      }),
      300,
    );
  });
});

function expected({ subscriptions, requests, sent, isOpen }: Model): object {
  return {
    states: subscriptions.map(({ state }) => state),
    events: subscriptions.map(({ events }) => events),
    resyncs: subscriptions.map(({ resyncs }) => resyncs),
    outcomes: requests.map(({ outcome }) => outcome),
    sent: isOpen ? sent : [],
    isOpen,
  };
}

function shown({ subscriptions, events, resyncs, outcomes, socket, client }: Real): object {
  const isOpen = client.$status === 'open';
  return {
    states: subscriptions.map(({ state }) => state),
    events,
    resyncs,
    outcomes,
    sent: isOpen ? (socket?.sent ?? []) : [],
    isOpen,
  };
}
