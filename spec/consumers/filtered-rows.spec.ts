import { Entity, Filter, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  createApp,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  path,
  Retrieve,
  RevokedBy,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { entities, Room } from '../support/entities.js';
import { RoomSerializer } from '../support/rooms.js';
import { Seat } from '../support/seats.js';

@Entity()
@Filter({ name: 'kept', cond: { archived: false }, default: true })
class Plank {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'boolean' }) archived!: boolean;
}

@injectable()
class PlankSerializer extends ModelSerializer(Plank, { fields: ['id', 'name'] }) {}

@Consumer()
class PlankConsumer extends mix(ModelConsumer(Plank, { serializer: PlankSerializer }), Retrieve, ObserveInstance) {}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve, ObserveInstance) {
  protected override getQuery() {
    return {};
  }
  @RevokedBy('onInstance', () => Seat)
  protected *seated({ room }: Seat) {
    yield String(room);
  }
}

describe('A subscription of a row that a default filter hides', () => {
  const database = useDatabase('filtered_rows', [...entities, Plank, Seat]);
  let app: App;

  before(() => {
    database.orm.em.addFilter({ name: 'current', cond: { archived: false }, entity: [Room], default: true });
  });
  beforeEach(() => {
    const routes = [path('/planks/', PlankConsumer), path('/rooms/', RoomConsumer)];
    app = createApp({ orm: database.orm, routes });
  });
  afterEach(() => app.close());

  for (const { of, url, model } of [
    { of: 'the entity', url: '/planks/', model: Plank },
    { of: 'the entity manager', url: '/rooms/', model: Room },
  ]) {
    const save = async (values: Partial<Plank>): Promise<void> => {
      const em = database.orm.em.fork();
      const [row] = await em.find<Plank>(model, { id: 1 }, { filters: false });
      em.assign(row ?? em.create<Plank>(model, { id: 1, name: 'oak', archived: false }), values);
      await em.flush();
    };
    const following = async (): Promise<TestConnection> => {
      await save({});
      const client = await connect(app, url);
      expect(await client.request('subscribe_instance', { pk: 1, request_id: 4 })).to.include({ response_status: 201 });
      return client;
    };

    it(`sends one delete, then nothing, and a create when it is shown again: a filter of ${of}`, async () => {
      await using client = await following();
      await save({ name: 'ash' });
      expect(await client.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'ash' } });
      await save({ archived: true, name: 'secret' });
      expect(await client.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
      await save({ name: 'secret while hidden' });
      await client.expectSilence();
      expect(await client.request('retrieve', { pk: 1, request_id: 5 })).to.include({ response_status: 404 });
      await save({ archived: false, name: 'elm' });
      expect(await client.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'elm' } });
      expect(JSON.stringify(client.frames)).not.to.contain('secret');
    });
  }

  it('ends when its right is asked for again', async () => {
    const em = database.orm.em.fork();
    em.create(Room, { id: 1, name: 'oak', archived: false });
    await em.flush();
    await using client = await connect(app, '/rooms/');
    expect(await client.request('subscribe_instance', { pk: 1, request_id: 4 })).to.include({ response_status: 201 });
    await em.nativeUpdate(Room, { id: 1 }, { archived: true });
    em.create(Seat, { room: 1 });
    await em.flush();
    expect(await client.receive()).to.include({ action: 'revoked', request_id: 4 });
  });
});
