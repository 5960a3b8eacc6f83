import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Clock,
  Consumer,
  createApp,
  InMemoryChannelLayer,
  Logger,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, MemoryLogger, TestClock } from 'signalbox/testing';
import { container, injectable } from 'tsyringe';
import { offlineOrm } from '../support/offline-orm.js';

/** So many on demand: LEAK_CYCLES=10000. */
const cycles = Number(process.env['LEAK_CYCLES'] ?? 1_000);
const news = new Signal<{ readonly text: string }>();
let guests = 0;

/** One per connection, as long as its container is there. */
@injectable()
class Guest {
  constructor() {
    guests += 1;
  }

  dispose(): void {
    guests -= 1;
  }
}

@Consumer()
class Following extends ApiConsumer {
  constructor(readonly guest: Guest) {
    super();
  }

  @Action()
  async follow(context: ActionContext) {
    await this.subscribe(this.onNews, {}, context);
    await this.addGroup('readers');
  }

  @Action({ detached: true })
  async wait({ signal }: ActionContext) {
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  @Action()
  async *count() {
    for (;;) {
      yield 1;
      await new Promise(setImmediate);
    }
  }

  @Observer(news)
  async onNews(event: SignalEvent<{ readonly text: string }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

type Story = (app: App) => Promise<void>;

/** The ways in which a client comes and goes. */
const stories: readonly Story[] = [
  async (app) => {
    const ann = await connect(app, '/');
    await ann.request('follow');
    ann.close();
    await ann.ended;
  },
  async (app) => {
    const ann = await connect(app, '/');
    ann.send({ action: 'follow', request_id: 1 });
    ann.close();
    await ann.ended;
  },
  async (app) => {
    const ann = await connect(app, '/');
    ann.send({ action: 'wait', request_id: 1 });
    await ann.request('cancel', { target: 1 });
    await ann.reply(1);
    await ann.request('follow');
    ann.close();
    await ann.ended;
  },
  async (app) => {
    const ann = await connect(app, '/');
    ann.send({ action: 'wait', request_id: 1 });
    ann.send({ action: 'count', request_id: 2 });
    await ann.receive();
    ann.close();
    await ann.ended;
  },
  async (app) => {
    const ann = await connect(app, '/');
    await ann.request('follow', { request_id: 1 });
    ann.freeze();
    await app.sendToGroup('nobody', { type: 'news' });
    ann.close();
    await ann.ended;
  },
];

describe('Clients that come and go', () => {
  let orm: MikroORM;
  let app: App;
  let clock: TestClock;
  let layer: InMemoryChannelLayer;

  before(async () => {
    orm = await offlineOrm();
    const child = container.createChildContainer();
    clock = new TestClock();
    layer = new InMemoryChannelLayer();
    child.registerInstance(Clock, clock);
    child.registerInstance(Logger, new MemoryLogger());
    const limits = { handshakesPerSecond: 1_000_000 };
    const settings = { limits, log: { actions: false } } as const;
    app = createApp({ orm, container: child, routes: [path('/', Following)], channelLayer: layer, settings });
  });
  after(async () => {
    await app.close();
    await orm.close(true);
  });

  async function run(count: number): Promise<void> {
    for (let each = 0; each < count; each += 1) await stories[each % stories.length]?.(app);
  }

  it('leave no subscriptions, groups, timers, containers and listeners behind', async () => {
    const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
    await run(100);
    expect(layer.groupCount).to.equal(0);
    clock.advance(10_000);
    expect(clock.waiting).to.equal(0);
    expect(guests).to.equal(0);
    expect(process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)).to.equal(listeners);
  });

  it(`leave the heap as it was, ${cycles} times`, async function () {
    this.timeout(cycles * 20 + 10_000);
    const collect = collector();
    await run(cycles);
    const before = await settledHeap(collect);
    await run(cycles);
    const grown = (await settledHeap(collect)) - before;
    // What one cycle leaves is below 1 kB where 1 000 of them leave less than the noise of two collections, 256 kB.
    expect(grown).to.be.below(Math.max(262_144, cycles * 2));
  });
});

/** The collector of this process, which `--expose-gc` would give. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** The heap when collecting it again makes no difference any more. */
async function settledHeap(collect: () => void): Promise<number> {
  let last = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round += 1) {
    await new Promise(setImmediate);
    collect();
    const { heapUsed } = process.memoryUsage();
    if (Math.abs(last - heapUsed) < 1_024) break;
    last = heapUsed;
  }
  return last;
}
