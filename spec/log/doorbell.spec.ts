import { expect } from 'chai';
import { path } from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { Doorbell, doorbellChannel, type Ring } from '#signalbox/log/doorbell.js';
import { Notifications } from '#signalbox/log/notifications.js';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { until } from '../support/deadline.js';
import { embeddedDatabase } from '../support/embedded-database.js';
import { entities, Room } from '../support/entities.js';
import { RoomWatcher } from '../support/rooms.js';
import { useServer } from '../support/serving.js';

/** A doorbell of a process, with the rings that it heard. */
class Hung {
  readonly heard: Ring[] = [];
  readonly logger = new MemoryLogger();
  readonly bell: Doorbell;

  constructor(orm: Parameters<typeof Notifications.of>[0], listens = true) {
    const rung = (ring: Ring): void => void this.heard.push(ring);
    this.bell = new Doorbell(Notifications.of(orm), { listens, logger: this.logger, rung });
    this.bell.start();
  }

  /** Its own beginning to listen is a ring, too: something may have been committed before. */
  async isUp(): Promise<void> {
    await until(() => this.heard.length >= 2, 'The doorbell is heard');
  }

  async hears(ring: Ring): Promise<void> {
    await until(() => this.heard.includes(ring), `The ring for ${ring}`);
  }
}

describe('The doorbell of the change log', () => {
  const database = useDatabase('doorbell');
  const second = useSecondOrm(database);
  const hung: Hung[] = [];

  afterEach(async () => {
    for (const { bell } of hung.splice(0)) await bell.stop();
  });

  function hang(orm: Parameters<typeof Notifications.of>[0], listens = true): Hung {
    const one = new Hung(orm, listens);
    hung.push(one);
    return one;
  }

  it('is heard by the other processes, and not by the one that rings', async () => {
    const [here, there] = [hang(database.orm), hang(second.orm)];
    await Promise.all([here.isUp(), there.isUp()]);
    here.heard.splice(0);
    there.heard.splice(0);
    here.bell.ring('observed');
    await there.hears('observed');
  });

  it('is not rung by a process that is alone, and is when another one comes, for what was committed until then', async () => {
    const here = hang(database.orm);
    await here.isUp();
    here.bell.ring('observed');
    const there = hang(second.orm);
    await there.isUp();
    there.heard.splice(0);
    await until(() => there.heard.length > 0, 'The answer');
    await there.hears('observed');
    there.heard.splice(0);
    here.bell.ring('observed');
    await there.hears('observed');
  });

  it('is not rung by a process that is alone, although it heard a ring that it sent through another connection', async () => {
    const heard: string[] = [];
    const listener = { heard: (payload: string) => void heard.push(payload), up: () => {}, down: () => {} };
    const notifications = Notifications.of(second.orm);
    const unlisten = notifications.listen(doorbellChannel, listener);
    await until(() => notifications.isUp, 'The listener');
    const here = hang(database.orm);
    await here.isUp();
    await until(() => heard.length === 1, 'What it says when it begins to listen');
    await database.orm.em.execute('select pg_notify(?, ?)', [doorbellChannel, heard[0]]);
    await until(() => heard.length === 2, 'The same through the pool');
    here.bell.ring();
    await Notifications.of(database.orm).notify(doorbellChannel, ['end']);
    await until(() => heard.length >= 3, 'The end');
    // It takes that for the ring of another process, and answers.
    expect(heard.map((payload) => payload.split(' ')[0]).slice(0, 3)).to.deep.equal(['hello', 'hello', 'end']);
    await unlisten();
  });

  it('is rung by a process that ends before it heard of the others, for what it committed', async () => {
    const there = hang(second.orm);
    await there.isUp();
    there.heard.splice(0);
    const notifications = Notifications.of(database.orm);
    const here = hang(database.orm);
    await until(() => notifications.isUp, 'The listener');
    here.bell.ring();
    await here.bell.stop();
    await there.hears('log');
  });

  it('is rung by a process that does not listen, also where it has heard no other', async () => {
    const [here, there] = [hang(database.orm), hang(second.orm, false)];
    await here.isUp();
    here.heard.splice(0);
    there.bell.ring();
    await here.hears('log');
    expect([here.bell.isHeard, there.bell.isHeard]).to.deep.equal([true, false]);
  });

  it('is rung once for all that is committed while a ring is under way', async () => {
    const [here, there] = [hang(database.orm), hang(second.orm, false)];
    await here.isUp();
    here.heard.splice(0);
    for (let round = 0; round < 100; round += 1) there.bell.ring();
    there.bell.ring('observed');
    await here.hears('observed');
    expect(here.heard).to.deep.equal(['log', 'log', 'observed']);
  });
});

describe('A commit on a database of one connection', () => {
  const database = embeddedDatabase(entities);
  const serve = useServer();

  it('is heard of without a notification: there is no other process', async () => {
    const client = await database.orm.em.getConnection().getNativeClient();
    const heard: string[] = [];
    const unlisten = await client.listen(doorbellChannel, (payload) => heard.push(payload));
    const { app } = serve([path('/ws/', RoomWatcher)], { orm: database.orm });
    await using ann = await connect(app, '/ws/');
    expect(await ann.request('watch')).to.include({ response_status: 201 });
    const em = database.orm.em.fork();
    em.create(Room, { name: 'red' });
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red' } });
    await app.idle();
    expect(heard).to.deep.equal([]);
    await unlisten();
  });
});
