import { expect } from 'chai';
import {
  type ActionContext,
  Consumer,
  ModelConsumer,
  type ModelEvent,
  mix,
  ObserveInstance,
  path,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { RoomSerializer, useRooms } from '../support/rooms.js';

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveInstance) {
  protected override getQuery({ scope }: ActionContext) {
    return scope.query.has('open') ? { archived: false } : {};
  }
}

@Consumer()
class LoudConsumer extends RoomConsumer {
  override async onInstance(
    event: ModelEvent<typeof RoomSerializer>,
    subscription: Subscription<{ readonly pk: number }>,
  ) {
    if (event.action === 'delete') await super.onInstance(event, subscription);
    else await subscription.send({ action: event.action, data: { loud: event.data } });
  }
}

/** What the mixin has in common with that of DCRF is in dcrf/instance.spec.ts. */
describe('ObserveInstance', () => {
  const database = useDatabase('observe_instance');
  const rooms = useRooms(database, [path('/ws/', RoomConsumer), path('/loud/', LoudConsumer)]);

  async function call(action: string, pk: unknown, requestId?: string | number, to = rooms.ann): Promise<number> {
    to.send({ action, pk, request_id: requestId });
    return (await to.receive()).response_status;
  }

  for (const { title, pk } of [
    { title: 'no row can have', pk: 'abc' },
    { title: 'is an object', pk: { id: 1 } },
  ]) {
    it(`answers 404 to a key that ${title}`, async () => {
      expect(await call('subscribe_instance', pk, 4)).to.equal(404);
    });
  }

  it('answers 404 for a row that the consumer does not show', async () => {
    await using bob = await connect(rooms.app, '/ws/?open');
    expect(await call('subscribe_instance', 2, 4, bob)).to.equal(404);
    expect(await call('subscribe_instance', 1, 4, bob)).to.equal(201);
  });

  it('ends with 204 although the row is gone, and with 404 for a key that no row can have', async () => {
    await call('subscribe_instance', 1, 4);
    await rooms.em.nativeDelete(Room, { id: 1 });
    expect(await call('unsubscribe_instance', 1, 4)).to.equal(204);
    expect(await call('unsubscribe_instance', 'abc', 4)).to.equal(404);
  });

  it('lets onInstance decide what is sent', async () => {
    await using bob = await connect(rooms.app, '/loud/');
    await call('subscribe_instance', 1, 4, bob);
    await rooms.write((room) => (room.name = 'pink'));
    expect(await bob.receive()).to.deep.include({
      action: 'update',
      data: { loud: { id: 1, name: 'pink' } },
      request_id: 4,
    });
    await rooms.remove(1);
    expect(await bob.receive()).to.deep.include({ action: 'delete', data: { pk: 1 }, request_id: 4 });
  });
});
