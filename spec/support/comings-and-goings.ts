import type { MikroORM } from '@mikro-orm/postgresql';
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
import { connect, TestClock } from 'signalbox/testing';
import { container } from 'tsyringe';
import { Guest } from './guests.js';
import { offlineOrm } from './offline-orm.js';

const news = new Signal<{ readonly text: string }>();

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

interface Request {
  readonly action: string;
  readonly request_id: number;
  readonly target?: number;
}

/** The detached one is answered when it is cancelled, and not before. */
const waiting = { action: 'wait', request_id: 1 };
const requests: readonly Request[] = [
  waiting,
  { action: 'follow', request_id: 2 },
  { action: 'cancel', request_id: 3, target: waiting.request_id },
];

const disconnect = 'disconnect';

function orders<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => orders(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}

/** A patient client waits for each reply; another one has said all it has to say when the first comes. */
function story(moves: readonly (Request | typeof disconnect)[], isPatient: boolean): Story {
  return async (app) => {
    const client = await connect(app, '/');
    for (const move of moves) {
      if (move === disconnect) client.close();
      else client.send(move);
      const isAnswered = move !== disconnect && move !== waiting && moves.indexOf(move) < moves.indexOf(disconnect);
      if (isPatient && isAnswered) await client.reply(move.request_id);
    }
    await client.ended;
  };
}

async function leavesAmidParts(app: App): Promise<void> {
  const client = await connect(app, '/');
  client.send({ action: 'count', request_id: 1 });
  await client.receive();
  client.close();
  await client.ended;
}

async function stopsReading(app: App): Promise<void> {
  const client = await connect(app, '/');
  await client.request('follow');
  client.freeze();
  news.send({ text: 'nobody reads this' });
  await app.idle();
  client.close();
  await client.ended;
}

/** The ways in which a client comes and goes. */
export const stories: readonly Story[] = [
  ...orders<Request | typeof disconnect>([...requests, disconnect]).flatMap((moves) => [
    story(moves, true),
    story(moves, false),
  ]),
  leavesAmidParts,
  stopsReading,
];

class Silence extends Logger {
  protected override log(): void {}
}

/** An application whose clients come and go. */
export class Inn {
  readonly layer = new InMemoryChannelLayer();
  readonly clock = new TestClock();
  readonly #orm: MikroORM;
  readonly #app: App;
  #turn = 0;

  private constructor(orm: MikroORM) {
    this.#orm = orm;
    const child = container.createChildContainer();
    child.registerInstance(Clock, this.clock);
    child.registerInstance(Logger, new Silence());
    const limits = { handshakesPerSecond: 1_000_000 };
    const settings = { limits, log: { actions: false } } as const;
    this.#app = createApp({
      orm,
      container: child,
      routes: [path('/', Following)],
      channelLayer: this.layer,
      settings,
    });
  }

  static async open(): Promise<Inn> {
    return new Inn(await offlineOrm());
  }

  /** Of how many connections the container is there. */
  get guests(): number {
    return Guest.count;
  }

  /** One client after the other, each in the way that comes next. */
  async host(clients: number): Promise<void> {
    for (let each = 0; each < clients; each += 1) {
      await stories[this.#turn++ % stories.length]?.(this.#app);
      this.clock.advance(1_000);
    }
  }

  async close(): Promise<void> {
    await this.#app.close();
    await this.#orm.close(true);
  }
}
