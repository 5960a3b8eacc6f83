import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { Consumer, createApp, ModelConsumer, ModelSerializer, mix, ObserveInstance, path, Retrieve } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { addressOf, connectOrm } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { createDatabase } from '../support/postgres.js';
import { UserSerializer } from '../support/rooms.js';

/** Its computed field has entities made, of whose relations MikroORM reads what is missing. */
@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host'],
  nested: { host: UserSerializer },
  computed: ['door'],
}) {
  door({ name }: Room) {
    return `door of ${name}`;
  }
}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve, ObserveInstance) {}

describe('A nested row of an event', () => {
  async function open(url: string, options: Partial<Options> = {}): Promise<MikroORM> {
    const orm = await connectOrm(url, options);
    await orm.schema.create();
    const em = orm.em.fork();
    em.create(User, { id: 1, username: 'old', password: 'x' });
    em.create(Room, { id: 1, name: 'red', host: 1 });
    await em.flush();
    return orm;
  }

  for (const { from, optionsOf } of [
    { from: 'a replica', optionsOf: (replica: string) => ({ replicas: [{ clientUrl: replica }] }) },
    { from: 'the cache of results', optionsOf: () => ({ resultCache: { global: 60_000 } }) },
  ]) {
    it(`is as it is stored, and not as ${from} has it`, async () => {
      const name = from.replaceAll(' ', '_');
      const replica = await open(await createDatabase(`stale_${name}`));
      const orm = await open(await createDatabase(`fresh_${name}`), optionsOf(addressOf({ orm: replica })));
      const app = createApp({ orm, routes: [path('/', RoomConsumer)] });
      try {
        await using client = await connect(app, '/');
        expect(await client.request('retrieve', { pk: 1 })).to.have.nested.property('data.host.username', 'old');
        expect(await client.request('subscribe_instance', { pk: 1, request_id: 4 })).to.include({
          response_status: 201,
        });
        const em = orm.em.fork();
        await em.transactional(async (inner) => {
          (await inner.findOneOrFail(User, 1)).username = 'new';
          (await inner.findOneOrFail(Room, 1)).name = 'blue';
        });
        const event = await client.receive();
        expect(event)
          .to.have.property('data')
          .that.deep.includes({ name: 'blue', host: { id: 1, username: 'new' } });
        const retrieved = await client.request('retrieve', { pk: 1, request_id: 5 });
        expect(retrieved).to.have.nested.property('data.host.username', 'new');
      } finally {
        await app.close();
        await orm.close(true);
        await replica.close(true);
      }
    });
  }
});
