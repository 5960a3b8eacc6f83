import { setInterval as ticks } from 'node:timers/promises';
import { expect } from 'chai';
import { type Client, createClient, type LiveCollection, live, type Subscription } from 'signalbox/client';
import { WebSocket } from 'ws';
import { until } from '../support/deadline.js';
import { type Application, startApplication, useProcesses } from '../support/processes.js';
import type { ShelfApi, ShownThing } from '../support/shelf-service.js';
import { Thing } from '../support/things.js';

/** How often both applications are restarted, one after the other: `RESTARTS=20 npx mocha …` for a long run. */
const restarts = Number(process.env['RESTARTS'] ?? 1);
const clients = 50;
const shelves = 5;
const rows = 10;
/** The first clients may follow all things, now and then. */
const holders = 6;
const commitsPerSecond = 50;
/** Of each so many commits, one gives a holder its pass or takes it. */
const commitsPerRight = 7;

interface Told {
  readonly action: string;
  readonly data: unknown;
}

/** What one subscription is told, and what is wrong with it. */
class Record {
  readonly faults: string[] = [];
  events = 0;
  readonly #counts = new Map<number, number>();
  /** Rows of which no commit may be missing between two events. */
  #unbroken = new Set<number>();

  constructor(
    private readonly owner: string,
    subscription: Subscription<Told>,
    private readonly mayBeTold: (thing: ShownThing) => boolean = () => true,
  ) {
    subscription.onEvent(({ data }) => this.#take(data as ShownThing));
    subscription.onResync(() => this.#unbroken.clear());
  }

  #take(thing: ShownThing): void {
    const { id, count } = thing;
    this.events += 1;
    const last = this.#counts.get(id) ?? 0;
    const isNext = this.#unbroken.has(id) ? count === last + 1 : count > last;
    if (!isNext) this.faults.push(`${this.owner}: row ${id} has ${count} after ${last}`);
    if (!this.mayBeTold(thing)) this.faults.push(`${this.owner} has no right to ${thing.name}: row ${id} ${count}`);
    this.#counts.set(id, count);
    this.#unbroken.add(id);
  }
}

/** One of the clients, which comes back by itself. */
class Reader {
  readonly rows: LiveCollection<ShownThing>;
  readonly ofShelf: Record;
  readonly ofAll: Record[] = [];
  readonly closeCodes: number[] = [];
  readonly shelf: number;
  hasPass = false;
  readonly #client: Client<ShelfApi>;
  #all: Subscription<Told> | undefined;
  #attempts: number;

  constructor(
    readonly name: string,
    index: number,
    ports: () => readonly number[],
  ) {
    this.#attempts = index;
    this.shelf = (index % shelves) + 1;
    this.#client = createClient<ShelfApi>(() => this.#urlOf(ports()), {
      WebSocket: Quiet,
      firstDelay: 50,
      maxDelay: 200,
    });
    this.#client.$onStatus((_, { code }) => code !== undefined && this.closeCodes.push(code));
    const { shelf } = this;
    const subscription = this.#client.$on('onThing', 'watch', { shelf });
    this.ofShelf = new Record(this.name, subscription);
    this.rows = live(subscription, {
      list: () => this.#client.list({ shelf }),
      compare: (one, other) => one.id - other.id,
    });
  }

  get isReady(): boolean {
    return this.rows.getSnapshot().status === 'ready';
  }

  /** Whether it still believes in its right to follow all things. */
  get followsAll(): boolean {
    return this.#all?.state === 'live';
  }

  /** Asks for all things, unless it waits for an answer. */
  followAll(): void {
    if (this.#all?.state === 'live' || this.#all?.state === 'pending') return;
    this.#all = this.#client.$on('onAnyThing', 'watchAll', {});
    this.ofAll.push(new Record(`${this.name}, all`, this.#all, ({ name }) => name.split(' ').includes(this.name)));
  }

  /** Resolves when all that the server has sent is here. */
  async hello(): Promise<void> {
    await this.#client.hello({}, { retry: true });
  }

  close(): void {
    this.#client.$close();
  }

  /** The next one after each attempt, as a balancer does that does not know who is away. */
  #urlOf(ports: readonly number[]): string {
    this.#attempts += 1;
    return `ws://127.0.0.1:${ports[this.#attempts % ports.length]}/ws/?user=${this.name}`;
  }
}

/** One of a process that is about to end may fail. */
function isDone(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0);
}

class Quiet extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.on('error', () => {});
  }
}

describe('Two applications that are restarted one after the other', function () {
  this.timeout(30_000 + 20_000 * restarts);
  const processes = useProcesses();
  /** Those that were not told to end. */
  let serving: Application[];
  /** Of those that serve and of one that is away. */
  let ports: number[];
  let readers: Reader[];

  beforeEach(async () => {
    serving = [processes.here, processes.there];
    await processes.worker.ask('create', 1, [1, 6]);
    for (let shelf = 2; shelf <= shelves; shelf += 1) await processes.worker.ask('create', shelf, [shelf, shelf + 5]);
    ports = serving.map(({ ready }) => ready.port);
    readers = Array.from({ length: clients }, (_, index) => new Reader(String(index + 1), index, () => ports));
    await until(() => readers.every(({ isReady }) => isReady), 'All clients to be ready');
  });
  afterEach(async () => {
    for (const reader of readers) reader.close();
    await Promise.all(serving.map((application) => application.kill()));
  });

  /** @param way whether it takes its leave of its clients */
  async function restart(port: number, way: 'terminate' | 'kill'): Promise<void> {
    const leaving = serving.filter(({ ready }) => ready.port === port);
    serving = serving.filter((application) => !leaving.includes(application));
    await Promise.all(leaving.map((application) => application[way]()));
    const started = await startApplication({ url: processes.url });
    serving.push(started);
    ports[ports.indexOf(port)] = started.ready.port;
    await until(() => readers.every(({ isReady }) => isReady), 'All clients to come back');
  }

  /** Commits at a steady rate, by the worker and by whichever application is there. @returns how many commits there were */
  async function writeUntil(isOver: () => boolean): Promise<number> {
    const underWay: Promise<boolean>[] = [];
    for await (const _ of ticks(1_000 / commitsPerSecond)) {
      if (isOver()) break;
      const turn = underWay.length;
      const writer = [processes.worker, ...serving][turn % 3] ?? processes.worker;
      if (turn % commitsPerRight === 0) underWay.push(isDone(changeRight(turn / commitsPerRight)));
      else underWay.push(isDone(writer.ask('recordReaders', (turn % rows) + 1)));
    }
    return (await Promise.all(underWay)).filter(Boolean).length;
  }

  async function changeRight(turn: number): Promise<void> {
    const reader = readers[turn % holders];
    if (reader?.hasPass) await take(reader);
    // Rights are judged when an event is delivered: what was taken and given back between two looks was not missed.
    else if (reader && !reader.followsAll) await give(reader);
  }

  async function take(reader: Reader): Promise<void> {
    reader.hasPass = false;
    await processes.worker.ask('revoke', reader.name);
  }

  async function give(reader: Reader): Promise<void> {
    reader.hasPass = true;
    await processes.worker.ask('grant', reader.name);
    reader.followAll();
  }

  it('leave every client with what the database has, told once, in order and with the right to it', async () => {
    let isOver = false;
    const writing = writeUntil(() => isOver);
    for (let round = 0; round < restarts; round += 1) {
      const [first, second] = ports as [number, number];
      await restart(first, 'terminate');
      await restart(second, 'kill');
    }
    // Otherwise this shows nothing.
    await until(hasSeenEnough, 'Enough events and rights');
    isOver = true;
    const commits = await writing;
    await Promise.all(serving.map((application) => application.ask('idle')));
    await Promise.all(readers.map((reader) => reader.hello()));
    await until(() => readers.every(({ isReady }) => isReady), 'All clients to be ready');
    const stored = await processes.orm.em.fork().find(Thing, {}, { orderBy: { id: 'asc' } });
    for (const { rows: seen, shelf, name } of readers) {
      const expected = stored
        .filter((row) => row.shelf === shelf)
        .map(({ id, name, shelf, count }) => ({ id, name, shelf, count }));
      expect(seen.getSnapshot().rows, `the rows of client ${name}`).to.deep.equal(expected);
    }
    const ofShelves = readers.map(({ ofShelf }) => ofShelf);
    const ofAll = readers.flatMap(({ ofAll }) => ofAll);
    expect([...ofShelves, ...ofAll].flatMap(({ faults }) => faults)).to.deep.equal([]);
    expect(readers.flatMap(({ closeCodes }) => closeCodes)).to.not.include(1013);
    for (const application of serving) expect(await application.ask('logged', 'error')).to.deep.equal([]);
    expect(commits).to.be.above(50 * restarts);
  });

  /** Every client was told of its shelf, and rights were taken and given back. */
  function hasSeenEnough(): boolean {
    const ofAll = readers.flatMap((reader) => reader.ofAll);
    return (
      readers.every(({ ofShelf }) => ofShelf.events > 0) &&
      sum(ofAll.map(({ events }) => events)) > 50 * restarts &&
      ofAll.length > holders
    );
  }
});
