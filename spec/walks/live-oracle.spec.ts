import { setImmediate as nextTurn } from 'node:timers/promises';
import { EntityManager } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import fc from 'fast-check';
import { Action, type App, type AppApi, Consumer, createApp, Logger, path } from 'signalbox';
import { type Client, createClient, type LiveCollection, live } from 'signalbox/client';
import { MemoryLogger } from 'signalbox/testing';
import { container } from 'tsyringe';
import { WebSocket } from 'ws';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { within } from '../support/deadline.js';
import { lastingPort } from '../support/ports.js';
import { checkAsyncProperty } from '../support/properties.js';
import { ShelfKey, ShelfObserver, Thing, thingModels } from '../support/things.js';
import { transact } from '../support/transact.js';
import { type Row, type Transaction, transaction, type Write } from '../support/world.js';

class Count {
  @IsInt() pk!: number;
  @IsInt() count!: number;
}

const shown = ({ id, shelf, count }: Row): Row => ({ id, shelf, count });

@Consumer()
class ShelfConsumer extends ShelfObserver {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action() async hello() {}

  @Action()
  async list({ shelf }: ShelfKey) {
    return (await this.em.find(Thing, { shelf }, { orderBy: { id: 'asc' } })).map(shown);
  }

  @Action({ atomic: true })
  async count({ pk, count }: Count) {
    const thing = await this.em.findOneOrFail(Thing, pk);
    thing.count = count;
  }
}

function serve(orm: MikroORM, logger: MemoryLogger) {
  const many = 1_000_000;
  const child = container.createChildContainer();
  child.registerInstance(Logger, logger);
  const drain = { delay: 0, spread: 10, retrySpread: 10 };
  const limits = { messageBurst: many, addressHandshakeBurst: many };
  return createApp({
    orm,
    container: child,
    routes: [path('/ws/', ShelfConsumer)],
    settings: { drain, limits },
  });
}

type Api = AppApi<ReturnType<typeof serve>>;

type Step =
  | { readonly kind: 'follow' | 'leave'; readonly client: number; readonly shelf: number }
  | { readonly kind: 'cut' | 'reconnect'; readonly client: number }
  | { readonly kind: 'count'; readonly client: number; readonly write: Pick<Write, 'pk' | 'count'> }
  | { readonly kind: 'transaction'; readonly application: number; readonly transaction: Transaction }
  | { readonly kind: 'close' | 'drain'; readonly application: number }
  | { readonly kind: 'settle' | 'turn' };

const client = fc.nat(2);
const application = fc.nat(1);
const shelf = fc.integer({ min: 1, max: 3 });
const write = fc.record({ pk: fc.integer({ min: 1, max: 3 }), count: fc.nat(1_000) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('follow', 'follow', 'leave'), client, shelf }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut', 'reconnect'), client }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('count'), client, write }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('transaction'), application, transaction }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('settle', 'turn', 'turn', 'turn') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('close', 'drain'), application }) },
);

interface Followed {
  readonly client: number;
  readonly shelf: number;
  readonly rows: LiveCollection<Row>;
}

/** Of one process, as far as the database can tell: an ORM, and so a change log and a reader, of its own. */
interface Served {
  readonly orm: MikroORM;
  readonly port: number;
  app: App;
}

/** Three clients over real sockets, and two applications of one database that come and go on their ports. */
class Playback {
  readonly #sockets: WebSocket[][] = [[], [], []];
  #clients: readonly Client<Api>[] = [];
  #followed: readonly Followed[] = [];
  /** Transactions and requests that nobody has waited for yet. */
  #underWay: Promise<unknown>[] = [];
  readonly #logger = new MemoryLogger();
  readonly #served: Served[] = [];

  constructor(private readonly orms: readonly MikroORM[]) {}

  async begin(): Promise<void> {
    for (const orm of this.orms) this.#served.push(await this.#serve(orm, await lastingPort()));
    this.#clients = this.#sockets.map((sockets, index) => this.#connect(sockets, index));
  }

  async play(step: Step): Promise<void> {
    switch (step.kind) {
      case 'follow':
        this.#follow(step.client, step.shelf);
        return;
      case 'leave':
        this.#leave(step.client, step.shelf);
        return;
      case 'cut':
        for (const socket of this.#sockets[step.client] ?? []) socket.terminate();
        return;
      case 'reconnect':
        this.#clientOf(step.client).$reconnect();
        return;
      case 'count':
        this.#begin(this.#clientOf(step.client).count(step.write));
        return;
      case 'transaction':
        this.#begin(transact(this.#servedAt(step.application).orm.em.fork(), step.transaction));
        return;
      case 'turn':
        await nextTurn();
        return;
      case 'settle':
        await this.#settle();
        return;
      default:
        await this.#restart(this.#servedAt(step.application), step.kind);
    }
  }

  /** At rest, every collection is what the database says. */
  async check(): Promise<void> {
    await this.#settle();
    await within(this.#rest(), 'The rest of all clients');
    const stored = await this.#servedAt(0)
      .orm.em.fork()
      .find(Thing, {}, { orderBy: { id: 'asc' } });
    for (const { shelf, rows } of this.#followed) {
      const expected = stored.filter((row) => row.shelf === shelf).map(shown);
      expect(rows.getSnapshot()).to.deep.equal({ rows: expected, status: 'ready', error: undefined });
    }
    expect(this.#logger.at('error').map(({ message, fields }) => `${message} ${fields['error']}`)).to.deep.equal([]);
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.$close();
    await this.#settle();
    await Promise.all(this.#served.map(({ app }) => app.close()));
  }

  async #serve(orm: MikroORM, port: number): Promise<Served> {
    const app = serve(orm, this.#logger);
    await app.listen({ port, host: '127.0.0.1' });
    return { orm, port, app };
  }

  /** Tries the two in turns, so that clients come from one to the other. */
  #connect(sockets: WebSocket[], index: number): Client<Api> {
    let attempts = index;
    class Recorded extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        this.on('error', () => {});
        sockets.push(this);
      }
    }
    const url = (): string => `ws://127.0.0.1:${this.#servedAt(attempts++ % this.#served.length).port}/ws/`;
    return createClient<Api>(url, { WebSocket: Recorded, firstDelay: 10, maxDelay: 50 });
  }

  #follow(client: number, shelf: number): void {
    const api = this.#clientOf(client);
    const rows = live(api.$on('onThing', 'watch', { shelf }), {
      list: () => api.list({ shelf }),
      compare: (one, other) => one.id - other.id,
    });
    this.#followed = [...this.#followed, { client, shelf, rows }];
  }

  #leave(client: number, shelf: number): void {
    const isLeft = (each: Followed): boolean => each.client === client && each.shelf === shelf;
    for (const { rows } of this.#followed.filter(isLeft)) rows.close();
    this.#followed = this.#followed.filter((each) => !isLeft(each));
  }

  /** Deadlocks, conflicts and lost connections are no failures here: whatever came of it is what the database says. */
  #begin(work: PromiseLike<unknown>): void {
    this.#underWay.push(Promise.allSettled([work]));
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underWay.splice(0));
  }

  /** A transaction that outlives its server is nobody's: in earnest it would have died with the process. */
  async #restart(served: Served, way: 'close' | 'drain'): Promise<void> {
    await this.#settle();
    await served.app[way]();
    Object.assign(served, await this.#serve(served.orm, served.port));
  }

  /** Every answer comes behind the events that were sent before it; who lists again meanwhile is waited for. */
  async #rest(): Promise<void> {
    do {
      await Promise.all(this.#served.map(({ app }) => app.idle()));
      await Promise.all(this.#clients.map((client) => client.hello({}, { retry: true })));
      await Promise.all(this.#followed.map(({ rows }) => ready(rows)));
      await Promise.all(this.#served.map(({ app }) => app.idle()));
      await Promise.all(this.#clients.map((client) => client.hello({}, { retry: true })));
    } while (!this.#followed.every(({ rows }) => rows.getSnapshot().status === 'ready'));
  }

  #servedAt(index: number): Served {
    const served = this.#served[index];
    if (!served) throw new Error(`There is no application ${index}.`);
    return served;
  }

  #clientOf(index: number): Client<Api> {
    const client = this.#clients[index];
    if (!client) throw new Error(`There is no client ${index}.`);
    return client;
  }
}

function ready(rows: LiveCollection<Row>): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (rows.getSnapshot().status === 'ready') resolve();
    };
    rows.subscribe(look);
    look();
  });
}

describe('Live collections of clients that come and go between two applications', () => {
  const database = useDatabase('live_oracle', thingModels);
  const elsewhere = useSecondOrm(database);

  before(async () => {
    await database.orm.em.execute(
      "do $$ begin execute format('alter database %I set deadlock_timeout to 20', current_database()); end $$",
    );
  });

  it('are what the database says once all clients and applications are at rest', async function () {
    this.timeout(0);
    await checkAsyncProperty(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), playAndCompare), 15);
  });

  async function playAndCompare(steps: readonly Step[]): Promise<void> {
    await database.orm.em.execute('truncate thing cascade');
    const playback = new Playback([database.orm, elsewhere.orm]);
    await playback.begin();
    try {
      for (const each of steps) await playback.play(each);
      await playback.check();
    } finally {
      await playback.end();
    }
  }
});
