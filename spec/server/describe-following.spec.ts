import { expect } from 'chai';
import {
  type ActionDescription,
  type ApplicationDescription,
  BulkCreate,
  BulkDelete,
  BulkPatch,
  Consumer,
  createApp,
  ModelConsumer,
  mix,
  ObserveKinds,
  ObserveRows,
  path,
  type StreamDescription,
} from 'signalbox';
import { toAsyncApi } from 'signalbox/explorer';
import { entities, Room } from '../support/entities.js';
import { offlineOrm } from '../support/offline-orm.js';
import { RoomSerializer } from '../support/rooms.js';

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: { id: ['lte'], 'host.username': ['exact'] } } }),
  ObserveKinds,
  ObserveRows,
  BulkCreate,
  BulkPatch,
  BulkDelete,
) {}

describe('The description of subscriptions and of writes of several rows', () => {
  let description: ApplicationDescription;
  let stream: StreamDescription | undefined;

  before(async () => {
    const app = createApp({ orm: await offlineOrm(entities), routes: [path('/', RoomConsumer)] });
    description = app.describe();
    stream = description.routes[0]?.streams[0];
    await app.close();
  });

  const action = (name: string): ActionDescription | undefined => stream?.actions.find((each) => each.name === name);

  const key = { type: 'integer', format: 'int32' };
  const row = { $ref: '#/schemas/RoomSerializer' };

  it('says what subscriptions take, and the names that they answer to', () => {
    expect(action('subscribe')).to.deep.include({
      member: 'subscribeKind',
      subscribesTo: ['onCreated', 'onUpdated', 'onDeleted'],
    });
    expect(action('subscribe')?.kwargs).to.deep.equal({
      type: 'object',
      properties: {
        data: {
          type: 'object',
          properties: { action: { enum: ['create', 'update', 'delete'] } },
          required: ['action'],
        },
        pk: key,
      },
      required: ['data'],
    });
    expect(action('subscribe_rows')?.kwargs).to.deep.equal({
      type: 'object',
      properties: {
        filter: {
          type: 'object',
          properties: { id: { anyOf: [{ type: 'object', properties: { lte: key } }] } },
        },
      },
    });
  });

  it('says which kind of events each observer sends', () => {
    const sent = stream?.observers.map(({ member, actions }) => [member, actions]);
    expect(sent).to.have.deep.members([
      ['onCreated', ['create']],
      ['onUpdated', ['update']],
      ['onDeleted', ['delete']],
      ['onRow', ['create', 'update', 'delete']],
    ]);
  });

  it('says that lists are taken and given', () => {
    expect(action('bulk_create')).to.deep.include({ reply: { type: 'array', items: row }, effect: 'writes' });
    expect(action('bulk_create')?.kwargs).to.deep.equal({
      type: 'object',
      properties: { data: { type: 'array', items: { $ref: '#/schemas/RoomSerializerInput' }, minItems: 1 } },
      required: ['data'],
    });
    expect(action('bulk_delete')?.kwargs).to.deep.equal({
      type: 'object',
      properties: { pks: { type: 'array', items: key, minItems: 1 } },
      required: ['pks'],
    });
  });

  it('has all of them in the AsyncAPI document', () => {
    const operations = Object.keys(toAsyncApi(description, { title: 'Rooms', version: '1.0.0' }).operations);
    for (const name of ['subscribe', 'unsubscribe', 'subscribe_rows', 'bulk_create', 'bulk_patch', 'bulk_delete'])
      expect(
        operations.some((operation) => operation.endsWith(`.${name}`)),
        name,
      ).to.equal(true);
  });
});
