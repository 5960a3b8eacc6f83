import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  Consumer,
  Create,
  Delete,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
  path,
  Retrieve,
  Update,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { type Served, useServer } from '../support/serving.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'archived', 'host'],
  readOnly: ['host'],
}) {}

@Consumer()
class Rooms extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, paginator: LimitOffsetPaginator, filters: { search: ['name'] } }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
) {}

@Consumer()
class Plain extends ApiConsumer {
  @Action() async ping() {}
}

const kwargs = 'Kwargs that the action does not know were dropped.';
const keys = 'Keys that the serializer does not accept were dropped.';

/** Each request, and what the developer is told of it. */
const noted: readonly [string, string, object, readonly [string, object][]][] = [
  ['/plain/', 'ping', { a: 1, b: 2 }, [[kwargs, { action: 'ping', dropped: ['a', 'b'] }]]],
  ['/plain/', 'ping', {}, []],
  ['/rooms/', 'retrieve', { pk: 1, fields: 'id' }, [[kwargs, { action: 'retrieve', dropped: ['fields'] }]]],
  ['/rooms/', 'list', { limit: 1, search: 'red', sort: {} }, [[kwargs, { action: 'list', dropped: ['sort'] }]]],
  ['/rooms/', 'list', { offset: 0 }, []],
  [
    '/rooms/',
    'create',
    { data: { name: 'a', host: 1, admin: true, id: 7 }, pk: 5 },
    [
      [kwargs, { action: 'create', dropped: ['pk'] }],
      [keys, { action: 'create', serializer: 'RoomSerializer', dropped: ['host', 'admin', 'id'] }],
    ],
  ],
  [
    '/rooms/',
    'update',
    { pk: 1, data: { name: 'b', room_id: 1 } },
    [[keys, { action: 'update', serializer: 'RoomSerializer', dropped: ['room_id'] }]],
  ],
  ['/rooms/', 'patch', { pk: 1, data: { archived: true } }, []],
  ['/rooms/', 'delete', { pk: 1, data: {} }, [[kwargs, { action: 'delete', dropped: ['data'] }]]],
];

describe('Names that no action asks for', () => {
  const database = useDatabase('dropped_names');
  const serve = useServer();

  const start = (development: boolean): Served => {
    const routes = [path('/rooms/', Rooms), path('/plain/', Plain)];
    return serve(routes, { orm: database.orm, settings: { development } });
  };
  beforeEach(async () => {
    const em = database.orm.em.fork();
    em.create(Room, { name: 'red' });
    await em.flush();
  });

  for (const [at, action, sent, notes] of noted) {
    it(`are noted in development: ${action} with ${JSON.stringify(sent)}`, async () => {
      const { app, logger } = start(true);
      await using ann = await connect(app, at);
      expect((await ann.request(action, sent as Record<string, unknown>)).response_status).to.be.below(300);
      expect(logger.at('debug').map(({ message, fields }) => [message, fields])).to.deep.equal(notes);
    });
  }

  it('are not noted in production', async () => {
    const { app, logger } = start(false);
    await using ann = await connect(app, '/rooms/');
    await ann.request('create', { data: { name: 'a', admin: true }, pk: 5 });
    expect(logger.entries).to.deep.equal([]);
  });
});
