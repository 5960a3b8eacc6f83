import { expect } from 'chai';
import { emptyingScript } from '#signalbox/log/log-schema.js';
import { until } from '../support/deadline.js';
import { Follower } from '../support/follower.js';
import type { Application } from '../support/processes.js';
import { areBack, countEntries, startWorker, useProcesses } from '../support/processes.js';

describe('Two applications over an outage of their database', function () {
  this.timeout(60_000);
  const processes = useProcesses();

  const both = (): readonly Application[] => [processes.here, processes.there];
  /** One of each process that follows a shelf, and one that follows nothing. */
  const followers = async () => {
    const following = await Promise.all(both().map(({ ready }) => Follower.open(ready.port)));
    const requests = await Promise.all(following.map((follower) => follower.follow('watch', { shelf: 1 })));
    const silent = await Promise.all(both().map(({ ready }) => Follower.open(ready.port)));
    return { following, requests, silent };
  };
  const expectAnswers = async (silent: readonly Follower[]): Promise<void> => {
    for (const follower of silent) {
      expect(await follower.ask('hello')).to.include({ response_status: 200 });
      await follower[Symbol.asyncDispose]();
    }
  };

  afterEach(async () => {
    processes.proxy.cut();
    processes.proxy.mend();
    await areBack(...both());
  });

  it('tell afterwards what was committed while one of them was cut off', async () => {
    const { following, requests, silent } = await followers();
    processes.proxy.cut();
    const written = processes.there.ask('create', 1, [4]);
    expect(await Promise.allSettled([written])).to.have.nested.property('[0].status', 'rejected');
    for (const id of [1, 2, 3]) await processes.here.ask('create', 1, [id]);
    processes.proxy.mend();
    for (const [index, follower] of following.entries()) {
      await follower.hears(({ data }) => (data as { id?: number } | null)?.id === 3, 'The last event');
      expect(follower.events(requests[index] ?? 0).map(({ data }) => (data as { id: number }).id)).to.deep.equal([
        1, 2, 3,
      ]);
      await follower[Symbol.asyncDispose]();
    }
    await expectAnswers(silent);
  });

  it('tell a signal once where the connection is lost before its sender hears that it is written', async () => {
    await using follower = await Follower.open(processes.here.ready.port);
    const request = await follower.follow('watch_departures');
    const worker = await startWorker({ url: processes.proxy.urlOf(processes.url) });
    await worker.ask('depart', 1);
    await follower.hears(({ data }) => (data as { train?: number } | null)?.train === 1, 'The first signal');
    processes.proxy.deafenAt(/train\W+2\b/);
    const before = await countEntries(processes.orm);
    await worker.ask('depart', 2);
    await until(async () => (await countEntries(processes.orm)) > before, 'The entry of the second signal');
    processes.proxy.cut();
    processes.proxy.mend();
    await worker.ask('depart', 3);
    await follower.hears(({ data }) => (data as { train?: number } | null)?.train === 3, 'The third signal');
    expect(follower.events(request).map(({ data }) => data)).to.deep.equal([{ train: 1 }, { train: 2 }, { train: 3 }]);
    // The second one stands there twice. Otherwise this shows nothing.
    expect(await countEntries(processes.orm)).to.be.at.least(before + 3);
    await worker.kill();
  });

  it('close the connections with subscriptions where the log was emptied while one process was cut off', async () => {
    const { following, silent } = await followers();
    processes.proxy.cut();
    await processes.here.ask('create', 1, [1]);
    await processes.orm.em.execute(emptyingScript);
    processes.proxy.mend();
    await processes.worker.ask('create', 1, [2]);
    expect(await Promise.all(following.map(({ closed }) => closed))).to.deep.equal([1013, 1013]);
    await expectAnswers(silent);
  });

  it('close the connections with subscriptions where the log was emptied', async () => {
    const { following, silent } = await followers();
    await processes.orm.em.execute(emptyingScript);
    await processes.worker.ask('create', 1, [1]);
    expect(await Promise.all(following.map(({ closed }) => closed))).to.deep.equal([1013, 1013]);
    await expectAnswers(silent);
  });

  it('go on where they were after the server has stopped and started', async () => {
    const { following, requests, silent } = await followers();
    await processes.here.ask('create', 1, [1]);
    await processes.server.halt('fast');
    await processes.server.resume();
    await areBack(...both());
    await processes.worker.ask('create', 1, [2]);
    for (const [index, follower] of following.entries()) {
      await follower.hears(({ data }) => (data as { id?: number } | null)?.id === 2, 'The event behind the stop');
      expect(follower.events(requests[index] ?? 0)).to.have.lengthOf(2);
      await follower[Symbol.asyncDispose]();
    }
    await expectAnswers(silent);
  });

  it('close the connections with subscriptions after a crash of the server, which empties the log', async () => {
    const { following, silent } = await followers();
    await processes.here.ask('create', 1, [1]);
    await processes.server.halt('immediate');
    await processes.server.resume();
    expect(await Promise.all(following.map(({ closed }) => closed))).to.deep.equal([1013, 1013]);
    await expectAnswers(silent);
  });
});
