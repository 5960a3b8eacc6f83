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

@Entity()
@Filter({ name: 'kept', cond: { gone: false }, default: true })
class Plank {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) code!: string;
  @Property({ type: 'boolean' }) gone!: boolean;
}

@Entity()
class Beam {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) code!: string;
  @Property({ type: 'boolean' }) gone!: boolean;
}

@Entity()
class Inspection {
  @PrimaryKey({ type: 'integer' }) id!: number;
}

@injectable()
class PlankSerializer extends ModelSerializer(Plank, { fields: ['id', 'code'] }) {}

@Consumer()
class PlankConsumer extends mix(ModelConsumer(Plank, { serializer: PlankSerializer }), Retrieve, ObserveInstance) {}

@injectable()
class BeamSerializer extends ModelSerializer(Beam, { fields: ['id', 'code'] }) {}

@Consumer()
class BeamConsumer extends mix(ModelConsumer(Beam, { serializer: BeamSerializer }), Retrieve, ObserveInstance) {
  protected override getQuery() {
    return {};
  }
  @RevokedBy('onInstance', () => Inspection)
  protected *inspected({ id }: Inspection) {
    yield String(id);
  }
}

describe('A subscription of a row that a default filter hides', () => {
  const database = useDatabase('filtered_rows', [Plank, Beam, Inspection]);
  let app: App;

  before(() => {
    database.orm.em.addFilter({ name: 'standing', cond: { gone: false }, entity: [Beam], default: true });
  });
  beforeEach(() => {
    const routes = [path('/planks/', PlankConsumer), path('/beams/', BeamConsumer)];
    app = createApp({ orm: database.orm, routes });
  });
  afterEach(() => app.close());

  for (const { of, url, model } of [
    { of: 'the entity', url: '/planks/', model: Plank },
    { of: 'the entity manager', url: '/beams/', model: Beam },
  ]) {
    const save = async (values: Partial<Plank>): Promise<void> => {
      const em = database.orm.em.fork();
      const [row] = await em.find<Plank>(model, { id: 1 }, { filters: false });
      em.assign(row ?? em.create<Plank>(model, { id: 1, code: 'oak', gone: false }), values);
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
      await save({ code: 'ash' });
      expect(await client.receive()).to.deep.include({ action: 'update', data: { id: 1, code: 'ash' } });
      await save({ gone: true, code: 'secret' });
      expect(await client.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
      await save({ code: 'secret while hidden' });
      await client.expectSilence();
      expect(await client.request('retrieve', { pk: 1, request_id: 5 })).to.include({ response_status: 404 });
      await save({ gone: false, code: 'elm' });
      expect(await client.receive()).to.deep.include({ action: 'create', data: { id: 1, code: 'elm' } });
      expect(JSON.stringify(client.frames)).not.to.contain('secret');
    });
  }

  it('ends when its right is asked for again', async () => {
    const em = database.orm.em.fork();
    em.create(Beam, { id: 1, code: 'oak', gone: false });
    await em.flush();
    await using client = await connect(app, '/beams/');
    expect(await client.request('subscribe_instance', { pk: 1, request_id: 4 })).to.include({ response_status: 201 });
    await em.nativeUpdate(Beam, { id: 1 }, { gone: true });
    em.create(Inspection, { id: 1 });
    await em.flush();
    expect(await client.receive()).to.include({ action: 'revoked', request_id: 4 });
  });
});
