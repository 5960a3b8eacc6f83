import { expect } from 'chai';
import { Follower } from '../support/follower.js';
import { type Application, useProcesses } from '../support/processes.js';

describe('A right that one application takes while another one writes', function () {
  this.timeout(60_000);
  const processes = useProcesses();
  const rounds = 20;

  it('is the last that a subscriber hears of, in both', async () => {
    const { here, there, worker } = processes;
    await worker.ask('create', 1, [1]);
    const all = await Promise.all([here, there].map(({ ready }) => Follower.open(ready.port, 'user=1')));
    const writeUntil = async (isOver: () => boolean, application: Application): Promise<void> => {
      while (!isOver()) await application.ask('recordReaders', 1);
    };
    for (let round = 0; round < rounds; round += 1) {
      const [taking, writing] = round % 2 === 0 ? [here, there] : [there, here];
      await taking.ask('grant', '1');
      const requests = await Promise.all(all.map((follower) => follower.follow('watch_all')));
      let isOver = false;
      const writes = writeUntil(() => isOver, writing);
      await Promise.all(
        all.map((follower, index) =>
          follower.hears(
            ({ action, request_id }) => action === 'update' && request_id === requests[index],
            'The first event',
          ),
        ),
      );
      await taking.ask('revoke', '1');
      await writing.ask('recordReaders', 1);
      isOver = true;
      await writes;
      await Promise.all([here.ask('idle'), there.ask('idle')]);
      for (const [index, follower] of all.entries()) {
        await follower.ask('hello');
        const told = follower.events(requests[index] ?? 0);
        expect(told.at(-1)).to.include({ action: 'revoked' });
        const names = told.slice(0, -1).map(({ data }) => (data as { name: string }).name);
        expect(new Set(names)).to.deep.equal(new Set(['#1 1']));
      }
    }
    await Promise.all(all.map((follower) => follower[Symbol.asyncDispose]()));
  });

  it('is taken from subscriptions that begin meanwhile, in both', async () => {
    const { here, there, worker } = processes;
    await worker.ask('create', 1, [1]);
    const all = await Promise.all([here, there].map(({ ready }) => Follower.open(ready.port, 'user=1')));
    for (let round = 0; round < rounds; round += 1) {
      await worker.ask('grant', '1');
      const begun = all.map((follower) => follower.ask('watch_all'));
      const writes = [here, there].map((application) => application.ask('recordReaders', 1));
      const taken = worker.ask('revoke', '1');
      const later = all.map((follower) => follower.ask('watch_all'));
      await Promise.all([taken, ...begun, ...writes, ...later]);
      await worker.ask('recordReaders', 1);
      await Promise.all([here.ask('idle'), there.ask('idle')]);
      for (const follower of all) {
        await follower.ask('hello');
        const names = follower.frames.flatMap(({ data }) => (data as { name?: string } | null)?.name ?? []);
        expect(new Set(names)).to.be.deep.oneOf([new Set(['#1 1']), new Set()]);
      }
    }
    expect(all.flatMap(({ frames }) => frames).filter(({ action }) => action === 'revoked')).to.have.length.above(
      rounds,
    );
    await Promise.all(all.map((follower) => follower[Symbol.asyncDispose]()));
  });
});
