import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Announcer,
  type App,
  ConfigurationError,
  Consumer,
  Create,
  createApp,
  demultiplexer,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
} from 'signalbox';
import { connect, type TestChannel, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { emptyDatabase, useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { createDatabase } from '../support/postgres.js';
import { testProviders } from '../support/providers.js';
import { RoomSerializer } from '../support/rooms.js';

@Entity()
class Invoice {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string', unique: true })
  number!: string;
}

@injectable()
class InvoiceSerializer extends ModelSerializer(Invoice, { fields: ['id', 'number'] }) {}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create, List, ObserveInstance) {}

@Consumer()
class InvoiceConsumer extends mix(
  ModelConsumer(Invoice, { serializer: InvoiceSerializer }),
  Create,
  List,
  Patch,
  ObserveInstance,
) {}

describe('An application with a second database', () => {
  const database = useDatabase('first_database');
  let billing: MikroORM;
  let app: App;
  let client: TestConnection;
  let rooms: TestChannel;
  let invoices: TestChannel;
  let providers: ReturnType<typeof testProviders>;

  before(async () => {
    billing = await MikroORM.init({
      contextName: 'billing',
      clientUrl: await createDatabase('second_database'),
      entities: [Invoice],
      metadataProvider: ReflectMetadataProvider,
    });
    await billing.schema.create();
  });
  after(() => billing.close(true));

  beforeEach(async () => {
    await emptyDatabase(billing);
    providers = testProviders();
    const routes = [path('/', demultiplexer({ rooms: RoomConsumer, invoices: InvoiceConsumer }))] as const;
    app = createApp({ orm: database.orm, otherOrms: [billing], routes, container: providers.container });
    client = await connect(app, '/');
    rooms = client.channel('rooms');
    invoices = client.channel('invoices');
  });
  afterEach(() => app.close());

  it('reads and writes each model where it is', async () => {
    expect(await rooms.request('create', { data: { name: 'red' } })).to.include({ response_status: 201 });
    expect(await invoices.request('create', { data: { number: 'A1' } })).to.deep.include({
      response_status: 201,
      data: { id: 1, number: 'A1' },
    });
    expect(await billing.em.fork().count(Invoice)).to.equal(1);
    expect(await invoices.request('list')).to.deep.include({ data: [{ id: 1, number: 'A1' }] });
    expect(await rooms.request('list')).to.deep.include({ data: [{ id: 1, name: 'red' }] });
  });

  it('answers the conflicts of each', async () => {
    await invoices.request('create', { data: { number: 'A1' } });
    expect(await invoices.request('create', { data: { number: 'A1' } })).to.deep.include({
      response_status: 409,
      errors: [{ number: ['An object with this number already exists.'] }],
    });
  });

  it('tells what the transaction that wrote the row has committed, whatever the other one does', async () => {
    await invoices.request('create', { data: { number: 'A1' } });
    await rooms.request('create', { data: { name: 'red' } });
    await invoices.request('subscribe_instance', { request_id: 'i', pk: 1 });
    await rooms.request('subscribe_instance', { request_id: 'r', pk: 1 });
    const [first, second] = [database.orm.em.fork(), billing.em.fork()];
    const rolledBack = first.transactional(async () => {
      (await first.findOneOrFail(Room, 1)).name = 'lost';
      (await second.findOneOrFail(Invoice, 1)).number = 'A2';
      await second.flush();
      throw new Error('no');
    });
    await rolledBack.catch(() => undefined);
    expect(await invoices.receive()).to.deep.include({ request_id: 'i', data: { id: 1, number: 'A2' } });
    await rooms.expectSilence();
  });

  it('announces writes of each', async () => {
    await invoices.request('create', { data: { number: 'A1' } });
    await invoices.request('subscribe_instance', { request_id: 'i', pk: 1 });
    const em = billing.em.fork();
    const announcer = providers.container.resolve(Announcer);
    await announcer.announcing(Invoice, [1], () => em.nativeUpdate(Invoice, 1, { number: 'B7' }));
    expect(await invoices.receive()).to.deep.include({ request_id: 'i', data: { id: 1, number: 'B7' } });
  });

  it('is refused where two databases have one context name', () => {
    const routes = [path('/', RoomConsumer)];
    expect(() => createApp({ orm: database.orm, otherOrms: [database.orm], routes }))
      .to.throw(ConfigurationError)
      .with.property(
        'message',
        'createApp.otherOrms: has two databases with the context name "default". Give each its own: MikroORM.init({ contextName }).',
      );
  });
});
