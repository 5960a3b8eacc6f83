import { expect } from 'chai';
import { until } from '../support/deadline.js';
import { User } from '../support/entities.js';
import { Follower } from '../support/follower.js';
import { areBack, countEntries, useProcesses } from '../support/processes.js';

describe('Orders to the connections of two applications', function () {
  this.timeout(60_000);
  const processes = useProcesses();

  beforeEach(async () => {
    const em = processes.orm.em.fork();
    for (const id of [1, 2]) em.create(User, { id, username: `user ${id}`, password: 'x' });
    await em.flush();
  });

  /** One of each process. */
  const followers = (query: string) =>
    Promise.all([processes.here, processes.there].map(({ ready }) => Follower.open(ready.port, query)));

  /** It goes on, whatever was ordered of others. */
  const expectUntouched = async (follower: Follower): Promise<void> => {
    await Promise.all([processes.here.ask('idle'), processes.there.ask('idle')]);
    expect(await follower.ask('hello')).to.include({ response_status: 200 });
    await follower[Symbol.asyncDispose]();
  };

  it('close every connection of a user', async () => {
    const bystander = await Follower.open(processes.there.ready.port, 'user=2');
    const all = await followers('user=1');
    await processes.here.ask('disconnectUser', 1);
    expect(await Promise.all(all.map(({ closed }) => closed))).to.deep.equal([4401, 4401]);
    await expectUntouched(bystander);
  });

  it('close every connection of a session', async () => {
    const bystander = await Follower.open(processes.there.ready.port, 'user=1&session=b');
    const all = await followers('user=1&session=a');
    await processes.there.ask('disconnectSession', 'a');
    expect(await Promise.all(all.map(({ closed }) => closed))).to.deep.equal([4401, 4401]);
    await expectUntouched(bystander);
  });

  it('close what a rule says of a commit of the worker', async () => {
    const bystander = await Follower.open(processes.there.ready.port, 'user=2');
    const all = await followers('user=1');
    await processes.worker.ask('changeUser', 1, { password: 'y' });
    expect(await Promise.all(all.map(({ closed }) => closed))).to.deep.equal([4401, 4401]);
    await expectUntouched(bystander);
  });

  it('reach connections that are being made meanwhile', async () => {
    const rounds = 30;
    let connections = 0;
    for (let round = 0; round < rounds; round += 1) {
      const query = `user=1&password=${round === 0 ? 'x' : round}`;
      const opened: Follower[] = [];
      const open = async (port: number): Promise<void> => {
        const follower = await Follower.open(port, query).catch(() => undefined);
        if (follower) opened.push(follower);
      };
      const ports = [processes.here, processes.there].map(({ ready }) => ready.port);
      const early = ports.map(open);
      const changed = processes.worker.ask('changeUser', 1, { password: String(round + 1) });
      const late = ports.map(open);
      await Promise.all([...early, changed, ...late]);
      await Promise.all([processes.here.ask('idle'), processes.there.ask('idle')]);
      expect(await Promise.all(opened.map(({ closed }) => closed))).to.deep.equal(opened.map(() => 4401));
      connections += opened.length;
    }
    expect(connections).to.be.above(rounds / 2);
  });

  it('ask connections again where a rule says so of a commit of the worker', async () => {
    const bystander = await Follower.open(processes.there.ready.port, 'user=2');
    const all = await followers('user=1');
    await processes.worker.ask('changeUser', 1, { username: 'banned 1' });
    expect(await Promise.all(all.map(({ closed }) => closed))).to.deep.equal([4403, 4403]);
    await expectUntouched(bystander);
  });

  it('end subscriptions whose right was taken, by hand', async () => {
    await processes.here.ask('grant', '1');
    const all = await followers('user=1');
    for (const follower of all) await follower.follow('watch_all');
    await processes.orm.em.execute('delete from pass');
    await processes.here.ask('recheck');
    for (const follower of all) {
      await follower.hears(({ action }) => action === 'revoked', 'The end of the subscription');
      await follower[Symbol.asyncDispose]();
    }
  });

  describe('of which one is paused', () => {
    afterEach(() => processes.there.resume());

    it('are obeyed before any later event once it is resumed', async () => {
      await using follower = await Follower.open(processes.there.ready.port, 'user=1');
      await using bystander = await Follower.open(processes.there.ready.port, 'user=2');
      const request = await follower.follow('watch', { shelf: 1 });
      await bystander.follow('watch', { shelf: 1 });
      processes.there.pause();
      await processes.here.ask('disconnectUser', 1);
      await processes.here.ask('create', 1, [1]);
      processes.there.resume();
      expect(await follower.closed).to.equal(4401);
      expect(follower.events(request)).to.deep.equal([]);
      await bystander.hears(({ action }) => action === 'create', 'The event');
    });

    it('close what a rule says of a commit before any later event', async () => {
      await using follower = await Follower.open(processes.there.ready.port, 'user=1');
      const request = await follower.follow('watch', { shelf: 1 });
      processes.there.pause();
      await processes.worker.ask('changeUser', 1, { password: 'y' });
      await processes.worker.ask('create', 1, [1]);
      processes.there.resume();
      expect(await follower.closed).to.equal(4401);
      expect(follower.events(request)).to.deep.equal([]);
    });

    it('ask again what a rule says of a commit before any later event', async () => {
      await using follower = await Follower.open(processes.there.ready.port, 'user=1');
      const request = await follower.follow('watch', { shelf: 1 });
      processes.there.pause();
      await processes.worker.ask('changeUser', 1, { username: 'banned 1' });
      await processes.worker.ask('create', 1, [1]);
      processes.there.resume();
      expect(await follower.closed).to.equal(4403);
      expect(follower.events(request)).to.deep.equal([]);
    });

    it('end subscriptions that were asked again by hand before any later event', async () => {
      await processes.here.ask('grant', '1');
      await using follower = await Follower.open(processes.there.ready.port, 'user=1');
      const request = await follower.follow('watch_all');
      processes.there.pause();
      await processes.orm.em.execute('delete from pass');
      const before = await countEntries(processes.orm);
      await processes.here.ask('recheck');
      // It gives nothing to wait for: a commit that follows at once may come before it.
      await until(async () => (await countEntries(processes.orm)) > before, 'The entry');
      await processes.here.ask('create', 1, [1]);
      processes.there.resume();
      await processes.there.ask('idle');
      await follower.ask('hello');
      expect(follower.events(request).map(({ action }) => action)).to.deep.equal(['revoked']);
    });

    it('end a subscription before any later event, where a right was taken meanwhile', async () => {
      await processes.here.ask('grant', '1');
      await using follower = await Follower.open(processes.there.ready.port, 'user=1');
      const request = await follower.follow('watch_all');
      processes.there.pause();
      await processes.worker.ask('revoke', '1');
      await processes.here.ask('create', 1, [1]);
      processes.there.resume();
      await processes.there.ask('idle');
      await follower.ask('hello');
      expect(follower.events(request).map(({ action }) => action)).to.deep.equal(['revoked']);
    });
  });

  describe('while a process has lost the database', () => {
    afterEach(() => {
      processes.proxy.mend();
      return areBack(processes.there);
    });

    it('take effect there at once, and elsewhere when it is back', async () => {
      const [elsewhere, own] = (await followers('user=1')) as [Follower, Follower];
      processes.proxy.cut();
      const ordered = processes.there.ask('disconnectUser', 1).catch(() => {});
      expect(await own.closed).to.equal(4401);
      expect(await elsewhere.ask('hello')).to.include({ response_status: 200 });
      processes.proxy.mend();
      expect(await elsewhere.closed).to.equal(4401);
      await ordered;
    });
  });

  describe('while the database is stopped', () => {
    it('are obeyed everywhere once it is back', async () => {
      const [own, elsewhere] = (await followers('user=1')) as [Follower, Follower];
      await processes.server.halt('fast');
      const ordered = processes.here.ask('disconnectUser', 1).catch(() => {});
      const whileStopped = Promise.all([own.closed, elsewhere.ask('hello')]);
      await whileStopped.finally(() => processes.server.resume());
      expect(await own.closed).to.equal(4401);
      expect(await elsewhere.closed).to.equal(4401);
      await ordered;
      await areBack(processes.here, processes.there);
    });
  });
});
