import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
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
  mix,
  ObserveInstance,
  Patch,
  path,
} from 'signalbox';
import { connect, type TestChannel, type TestConnection } from 'signalbox/testing';
import { emptyDatabase, useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { Member, MemberSerializer } from '../support/library.js';
import { createDatabase } from '../support/postgres.js';
import { testProviders } from '../support/providers.js';
import { RoomSerializer } from '../support/rooms.js';

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create, List, ObserveInstance) {}

@Consumer()
class MemberConsumer extends mix(
  ModelConsumer(Member, { serializer: MemberSerializer }),
  Create,
  List,
  Patch,
  ObserveInstance,
) {}

describe('An application with a second database', () => {
  const database = useDatabase('first_database');
  let library: MikroORM;
  let app: App;
  let client: TestConnection;
  let rooms: TestChannel;
  let members: TestChannel;
  let providers: ReturnType<typeof testProviders>;

  before(async () => {
    library = await MikroORM.init({
      contextName: 'library',
      clientUrl: await createDatabase('second_database'),
      entities: [Member],
      metadataProvider: ReflectMetadataProvider,
    });
    await library.schema.create();
  });
  after(() => library.close(true));

  beforeEach(async () => {
    await emptyDatabase(library);
    providers = testProviders();
    const routes = [path('/', demultiplexer({ rooms: RoomConsumer, members: MemberConsumer }))] as const;
    app = createApp({ orm: database.orm, otherOrms: [library], routes, container: providers.container });
    client = await connect(app, '/');
    rooms = client.channel('rooms');
    members = client.channel('members');
  });
  afterEach(() => app.close());

  it('reads and writes each model where it is', async () => {
    expect(await rooms.request('create', { data: { name: 'red' } })).to.include({ response_status: 201 });
    expect(await members.request('create', { data: { name: 'ann', pin: '1' } })).to.deep.include({
      response_status: 201,
      data: { id: 1, name: 'ann' },
    });
    expect(await library.em.fork().count(Member)).to.equal(1);
    expect(await members.request('list')).to.deep.include({ data: [{ id: 1, name: 'ann' }] });
    expect(await rooms.request('list')).to.deep.include({ data: [{ id: 1, name: 'red' }] });
  });

  it('answers the conflicts of each', async () => {
    await members.request('create', { data: { name: 'ann', pin: '1' } });
    expect(await members.request('create', { data: { name: 'ann', pin: '1' } })).to.deep.include({
      response_status: 409,
      errors: [{ name: ['An object with this name already exists.'] }],
    });
  });

  it('tells what the transaction that wrote the row has committed, whatever the other one does', async () => {
    await members.request('create', { data: { name: 'ann', pin: '1' } });
    await rooms.request('create', { data: { name: 'red' } });
    await members.request('subscribe_instance', { request_id: 'i', pk: 1 });
    await rooms.request('subscribe_instance', { request_id: 'r', pk: 1 });
    const [first, second] = [database.orm.em.fork(), library.em.fork()];
    const rolledBack = first.transactional(async () => {
      (await first.findOneOrFail(Room, 1)).name = 'lost';
      (await second.findOneOrFail(Member, 1)).name = 'bob';
      await second.flush();
      throw new Error('no');
    });
    await rolledBack.catch(() => undefined);
    expect(await members.receive()).to.deep.include({ request_id: 'i', data: { id: 1, name: 'bob' } });
    await rooms.expectSilence();
  });

  it('announces writes of each', async () => {
    await members.request('create', { data: { name: 'ann', pin: '1' } });
    await members.request('subscribe_instance', { request_id: 'i', pk: 1 });
    const em = library.em.fork();
    const announcer = providers.container.resolve(Announcer);
    await announcer.announcing(Member, [1], () => em.nativeUpdate(Member, 1, { name: 'cleo' }));
    expect(await members.receive()).to.deep.include({ request_id: 'i', data: { id: 1, name: 'cleo' } });
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
