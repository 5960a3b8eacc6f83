import { fork } from 'node:child_process';
import { once } from 'node:events';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  Counters,
  createApp,
  InMemoryChannelLayer,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { MemoryCounters } from 'signalbox/testing';
import { container } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { until, within } from '../support/deadline.js';
import { User } from '../support/entities.js';
import { Guest } from '../support/guests.js';

const program = new URL('../support/doomed-client.js', import.meta.url);
let working: PromiseWithResolvers<void>;
const ended: string[] = [];

@Consumer()
class Doomed extends ApiConsumer {
  constructor(
    readonly guest: Guest,
    private readonly em: EntityManager,
  ) {
    super();
  }

  @Action()
  async subscribe_users(context: ActionContext) {
    await this.subscribe(this.onUser, {}, context);
    working.resolve();
  }

  @Action()
  async work({ signal }: ActionContext) {
    working.resolve();
    await once(signal, 'abort');
    ended.push('work');
  }

  @Action()
  async *stream() {
    try {
      for (;;) {
        yield 'x'.repeat(10_000);
        working.resolve();
      }
    } finally {
      ended.push('stream');
    }
  }

  @Action({ atomic: true })
  async write({ signal }: ActionContext) {
    this.em.create(User, { username: 'ann', password: 'x' });
    await this.em.flush();
    working.resolve();
    await once(signal, 'abort');
  }

  protected override onDisconnect(): void {
    ended.push('disconnect');
  }

  @ModelObserver(() => User)
  async onUser(event: ModelEvent<User>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

describe('A client that is killed', () => {
  const database = useDatabase('killed_clients');
  let app: App;
  let layer: InMemoryChannelLayer;
  let counters: MemoryCounters;
  let url: string;

  beforeEach(async () => {
    working = Promise.withResolvers();
    ended.splice(0);
    layer = new InMemoryChannelLayer();
    counters = new MemoryCounters();
    const child = container.createChildContainer();
    child.registerInstance(Counters, counters);
    const routes = [path('/', Doomed)];
    const settings = { development: false, log: { actions: false } } as const;
    app = createApp({ orm: database.orm, container: child, routes, channelLayer: layer, settings });
    const { port } = await app.listen({ host: '127.0.0.1' });
    url = `ws://127.0.0.1:${port}/`;
  });
  afterEach(() => app.close());

  /** Kills a client once the server works for it, and waits until the server has noticed. */
  async function kill(...frames: readonly object[]): Promise<void> {
    const child = fork(program, [url, ...frames.map((frame) => JSON.stringify(frame))], { execArgv: [] });
    await within(working.promise, 'The work for the client');
    child.kill('SIGKILL');
    await within(once(child, 'exit'), 'The end of the client');
    await until(() => Guest.count === 0 && counters.value('signalbox.connections') === 0, 'The end of its connection');
  }

  function expectNothing(): void {
    expect(layer.groupCount).to.equal(0);
    expect(Guest.count).to.equal(0);
    expect(ended).to.include('disconnect');
  }

  it('leaves nothing of its subscriptions', async () => {
    await kill({ action: 'subscribe_users', request_id: 1 });
    expectNothing();
  });

  it('ends its actions', async () => {
    await kill({ action: 'work', request_id: 1 });
    expectNothing();
    expect(ended).to.include('work');
  });

  it('ends its generators', async () => {
    await kill({ action: 'stream', request_id: 1 });
    expectNothing();
    expect(ended).to.include('stream');
  });

  it('rolls its transaction back', async () => {
    await kill({ action: 'write', request_id: 1 }, { action: 'subscribe_users', request_id: 2 });
    expectNothing();
    expect(await database.orm.em.fork().count(User)).to.equal(0);
  });
});
