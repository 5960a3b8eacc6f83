import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { Consumer, createApp, type GivenSettings, List, ModelConsumer, ModelSerializer, mix, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { entities, Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'members'] }) {}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List) {}

describe('Statements that read rows', () => {
  const database = useDatabase('prepared_reads');
  let orm: MikroORM;

  beforeEach(async () => {
    orm = await MikroORM.init({
      clientUrl: database.orm.config.get('clientUrl') ?? '',
      entities,
      metadataProvider: ReflectMetadataProvider,
      pool: { min: 1, max: 1 },
    });
  });
  afterEach(() => orm.close(true));

  async function preparedBy(settings: GivenSettings): Promise<number> {
    const routes = [path('/', RoomConsumer)];
    const app = createApp({ orm, container: testProviders().container, routes, settings });
    const client = await connect(app, '/');
    for (const _ of [1, 2]) expect(await client.request('list')).to.deep.include({ response_status: 200, data: [] });
    await app.close();
    const prepared: readonly object[] = await orm.em
      .fork()
      .execute('select name from pg_prepared_statements where statement like \'%"room"%\'');
    return prepared.length;
  }

  it('are prepared under a name, once', async () => {
    expect(await preparedBy({})).to.equal(1);
  });

  it('have no name where the setting says so, for a pooler that knows none', async () => {
    expect(await preparedBy({ changeLog: { preparedStatements: false } })).to.equal(0);
  });
});
