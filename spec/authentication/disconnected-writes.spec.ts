import { expect } from 'chai';
import { type App, Consumer, createApp, ModelConsumer, mix, ObserveInstance, Patch, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { lockWaits } from '../support/locks.js';
import { testProviders } from '../support/providers.js';
import { RoomSerializer } from '../support/rooms.js';
import { UserOfAddress } from '../support/serving.js';

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Patch, ObserveInstance) {}

describe('A user that is disconnected while a write of its own cannot be stopped any more', () => {
  const database = useDatabase('disconnected_writes');
  let app: App;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    for (const name of ['red', 'blue']) em.create(Room, { name });
    await em.flush();
    const { container } = testProviders();
    app = createApp({
      orm: database.orm,
      container,
      middleware: [UserOfAddress],
      routes: [path('/', RoomConsumer)],
      settings: { closeTimeout: 60_000 },
    });
    await app.start();
  });
  afterEach(() => app.close());

  async function rename(id: number, name: string): Promise<void> {
    const em = database.orm.em.fork();
    (await em.findOneOrFail(Room, id)).name = name;
    await em.flush();
  }

  it('receives the reply to it, and no event that is committed meanwhile', async () => {
    await using ann = await connect(app, '/?user=1');
    await ann.request('subscribe_instance', { pk: 2 });
    const other = database.orm.em.fork();
    await other.begin();
    await other.nativeUpdate(Room, 1, { name: 'held' });
    ann.send({ action: 'patch', request_id: 'p', pk: 1, data: { name: 'scarlet' } });
    await lockWaits(database.orm.em);
    await app.disconnectUser(1);
    await rename(2, 'navy');
    await app.idle();
    await other.commit();
    expect(await ann.closed).to.equal(4401);
    expect(ann.frames.map(({ action, response_status }) => [action, response_status])).to.deep.equal([
      ['subscribe_instance', 201],
      ['patch', 200],
    ]);
  });
});
