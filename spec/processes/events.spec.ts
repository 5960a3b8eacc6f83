import { expect } from 'chai';
import { until } from '../support/deadline.js';
import { Follower } from '../support/follower.js';
import { population } from '../support/population.js';
import { countEntries, startApplication, startWorker, useProcesses } from '../support/processes.js';

interface Shown {
  readonly id: number;
  readonly name: string;
  readonly count: number;
}

describe('Events of two applications and a worker', function () {
  this.timeout(60_000);
  // The net behind a ring that is lost, which takes 30 s otherwise.
  const processes = useProcesses({ changeLog: { pollInterval: 1_000 } });

  const rowsOf = (follower: Follower, request: number): Shown[] =>
    follower.events(request).map(({ data }) => data as Shown);
  const followers = () => Promise.all([processes.here, processes.there].map(({ ready }) => Follower.open(ready.port)));
  /** Everything that was committed has been heard then. */
  const settle = async (all: readonly Follower[]): Promise<void> => {
    await Promise.all([processes.here.ask('idle'), processes.there.ask('idle')]);
    await Promise.all(all.map((follower) => follower.ask('hello')));
  };

  it('reach the sockets of both, whichever process commits', async () => {
    const all = await followers();
    const requests = await Promise.all(all.map((follower) => follower.follow('watch', { shelf: 1 })));
    await processes.here.ask('create', 1, [1]);
    await processes.there.ask('change', 1, { count: 1 });
    await processes.worker.ask('change', 1, { count: 2 });
    for (const [index, follower] of all.entries()) {
      const request = requests[index] ?? 0;
      await follower.hears(({ data }) => (data as Shown | null)?.count === 2, "The worker's event");
      expect(follower.events(request).map(({ action, data }) => [action, (data as Shown).count])).to.deep.equal([
        ['create', 0],
        ['update', 1],
        ['update', 2],
      ]);
    }
    await Promise.all(all.map((follower) => follower[Symbol.asyncDispose]()));
  });

  it('are told of a process that is killed right behind its commit, five times out of five', async () => {
    const [one, other] = (await followers()) as [Follower, Follower];
    for (const follower of [one, other]) await follower.follow('watch', { shelf: 1 });
    const workers = await Promise.all([1, 2, 3, 4, 5].map(() => startWorker({ url: processes.url })));
    await Promise.all(
      workers.map(async (worker, index) => {
        await worker.ask('createAndDie', 1, index + 1).catch(() => {});
        expect(await worker.ended).to.equal(undefined);
      }),
    );
    for (const id of [1, 2, 3, 4, 5])
      for (const follower of [one, other])
        await follower.hears(({ data }) => (data as Shown | null)?.id === id, `The event of row ${id}`);
    await Promise.all([one, other].map((follower) => follower[Symbol.asyncDispose]()));
  });

  it('are told of what a stop hook commits', async () => {
    await using follower = await Follower.open(processes.there.ready.port);
    const request = await follower.follow('watch', { shelf: 1 });
    const ending = await startApplication({ url: processes.url, createAtEnd: 1 });
    await ending.terminate();
    await processes.there.ask('idle');
    await follower.ask('hello');
    expect(rowsOf(follower, request).map(({ id }) => id)).to.deep.equal([1]);
  });

  it('are told of a model that a later application begins to observe, once the worker has heard of it', async () => {
    const { url, worker } = processes;
    await using later = await startApplication({ url, servesPeople: true });
    await using follower = await Follower.open(later.ready.port, '', '/people/');
    const request = await follower.follow('watch');
    let people = 0;
    const isTold = async (): Promise<boolean> => {
      people += 1;
      await worker.ask('createPerson', `person ${people}`);
      return follower.events(request).length > 0;
    };
    await until(isTold, 'The first event of a person');
  });

  it('come in the order of commits where both write one row, and end with the row as the database has it', async () => {
    const rounds = population(150);
    const perRound = 2;
    const all = await followers();
    const requests = await Promise.all(all.map((follower) => follower.follow('watch', { shelf: 1 })));
    await processes.worker.ask('create', 1, [1]);
    const counts: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const increments = [processes.here, processes.there].flatMap((application) =>
        Array.from({ length: perRound }, () => application.ask('increment', 1)),
      );
      // Without a lock, as a form does that was loaded before: the event has the count of whoever came in between.
      const names = [processes.here, processes.there].map((application, index) =>
        application.ask('change', 1, { name: `round ${round} of ${index}` }),
      );
      counts.push(...(await Promise.all(increments)));
      await Promise.all(names);
    }
    await settle(all);
    const [stored]: Shown[] = await processes.orm.em.execute('select id, name, count from thing');
    expect(stored?.count).to.equal(rounds * perRound * 2);
    for (const [index, follower] of all.entries()) {
      const rows = rowsOf(follower, requests[index] ?? 0);
      expect(rows.map(({ count }) => count)).to.deep.equal(rows.map(({ count }) => count).toSorted((a, b) => a - b));
      expect(rows.map(({ count }) => count)).to.include.members(counts);
      expect(rows.at(-1)).to.deep.include(stored);
      await follower[Symbol.asyncDispose]();
    }
  });

  it('begin with the first commit behind the subscription, each time', async () => {
    await using follower = await Follower.open(processes.there.ready.port);
    await processes.here.ask('create', 1, [1]);
    for (let count = 1; count < 2 * population(200); count += 2) {
      await processes.here.ask('change', 1, { count });
      const request = await follower.follow('watch', { shelf: 1 });
      await processes.here.ask('change', 1, { count: count + 1 });
      await follower.hears(({ data }) => (data as Shown | null)?.count === count + 1, 'The commit behind it');
      expect(rowsOf(follower, request).map((row) => row.count)).to.deep.equal([count + 1]);
      await follower.ask('unsubscribe', { target: request });
    }
  });

  it('of one commit come together, and stand in one row of the log', async () => {
    const rows = 100;
    await using follower = await Follower.open(processes.there.ready.port);
    const request = await follower.follow('watch', { shelf: 1 });
    const before = await countEntries(processes.orm);
    const ids = Array.from({ length: rows }, (_, index) => index + 1);
    await Promise.all([
      processes.worker.ask('create', 1, ids),
      ...[1, 2, 3, 4, 5].map((id) => processes.here.ask('create', 1, [rows + id])),
    ]);
    await processes.there.ask('idle');
    await follower.ask('hello');
    expect(await countEntries(processes.orm)).to.equal(before + 1 + 5);
    const told = rowsOf(follower, request).map(({ id }) => id);
    const first = told.findIndex((id) => id <= rows);
    expect(told.slice(first, first + rows).toSorted((a, b) => a - b)).to.deep.equal(ids);
    expect(told).to.have.lengthOf(rows + 5);
  });

  it('are told of an upsert of the worker', async () => {
    await using follower = await Follower.open(processes.there.ready.port);
    const request = await follower.follow('watch', { shelf: 1 });
    await processes.worker.ask('upsert', 1, 1, 5);
    await processes.worker.ask('upsert', 1, 1, 6);
    await processes.there.ask('idle');
    await follower.ask('hello');
    expect(rowsOf(follower, request).map(({ count }) => count)).to.deep.equal([5, 6]);
  });

  it('are told of writes that the ORM does not report and that are announced', async () => {
    await processes.here.ask('create', 1, [1, 2]);
    await using follower = await Follower.open(processes.there.ready.port);
    const request = await follower.follow('watch', { shelf: 1 });
    await processes.here.ask('announceCounts', [1, 2], 7);
    await processes.worker.ask('announceCounts', [1], 8);
    await processes.there.ask('idle');
    await follower.ask('hello');
    const told = rowsOf(follower, request).map(({ id, count }) => [id, count]);
    expect(told).to.have.deep.members([
      [1, 7],
      [2, 7],
      [1, 8],
    ]);
    expect(told.at(-1)).to.deep.equal([1, 8]);
  });

  it('are told of signals that the worker sends, outside of a transaction and with one', async () => {
    await processes.here.ask('create', 1, [1]);
    const all = await followers();
    const requests = await Promise.all(all.map((follower) => follower.follow('watch_departures')));
    await processes.worker.ask('depart', 1);
    for (const follower of all)
      await follower.hears(({ data }) => (data as { train?: number } | null)?.train === 1, 'The signal');
    await processes.worker.ask('departWith', 1, 2);
    for (const [index, follower] of all.entries()) {
      await follower.hears(({ data }) => (data as { train?: number } | null)?.train === 2, 'The signal of a commit');
      expect(follower.events(requests[index] ?? 0).map(({ data }) => data)).to.deep.equal([{ train: 1 }, { train: 2 }]);
      await follower[Symbol.asyncDispose]();
    }
  });

  it('are told of what a worker sends right before it ends', async () => {
    await using follower = await Follower.open(processes.there.ready.port);
    const request = await follower.follow('watch_departures');
    await using worker = await startWorker({ url: processes.url });
    await Promise.all([worker.ask('depart', 3), worker.ask('end')]);
    await processes.there.ask('idle');
    await follower.ask('hello');
    expect(follower.events(request).map(({ data }) => data)).to.deep.equal([{ train: 3 }]);
  });
});

describe('Events of processes that do not listen', function () {
  this.timeout(60_000);
  const processes = useProcesses({ changeLog: { listen: false } });

  it('come by polling', async () => {
    await using follower = await Follower.open(processes.there.ready.port);
    await follower.follow('watch', { shelf: 1 });
    await processes.here.ask('create', 1, [1]);
    await follower.hears(({ action }) => action === 'create', 'The event');
    const listening = await processes.orm.em.execute(
      `select 1 from pg_stat_activity where datname = current_database() and query ilike 'listen %'`,
    );
    expect(listening).to.deep.equal([]);
  });
});
