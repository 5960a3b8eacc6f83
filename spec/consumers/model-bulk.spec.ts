import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type ActionContext,
  BulkCreate,
  BulkDelete,
  BulkPatch,
  Consumer,
  createApp,
  Delete,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveRows,
  Patch,
  type PerformCreate,
  type Permission,
  Permissions,
  path,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { entities, Room } from '../support/entities.js';
import { useRooms, WholeRoomSerializer } from '../support/rooms.js';

const options = { serializer: WholeRoomSerializer, filters: { fields: ['archived'] }, maximumBulkSize: 4 } as const;

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, options), BulkCreate, BulkPatch, BulkDelete, ObserveRows) {}

@Consumer()
class CurrentConsumer extends mix(ModelConsumer(Room, options), BulkCreate, BulkPatch, BulkDelete) {
  protected override getQuery() {
    return { archived: false };
  }

  protected override performCreate(...[serializer, data, context]: PerformCreate<WholeRoomSerializer>) {
    return super.performCreate(serializer, { ...data, name: `${context.action} ${data.name}` }, context);
  }
}

/** What is done while a row is judged. */
let meanwhile: () => Promise<unknown>;
let asked = 0;

/** Refuses what is asked for a row alone, and knows nothing of bulk actions. */
class MayWrite implements Permission {
  hasPermission({ action, kwargs }: ActionContext) {
    asked += 1;
    const { data, pk } = kwargs as { readonly data?: { readonly name?: string }; readonly pk?: unknown };
    return !(action === 'create' && data?.name === 'secret') && !(action === 'delete' && pk === 1);
  }
  async hasObjectPermission(_context: ActionContext, { archived }: Room) {
    await meanwhile();
    return !archived;
  }
}

@Consumer()
@Permissions(MayWrite)
class JudgedConsumer extends mix(ModelConsumer(Room, options), BulkCreate, BulkPatch, BulkDelete, Patch, Delete) {}

@Consumer()
class NamedConsumer extends mix(
  ModelConsumer(Room, { serializer: WholeRoomSerializer, lookupField: 'name' }),
  BulkPatch,
  BulkDelete,
) {}

/** Writes by entities, because the application has a say in it. */
@Consumer()
class PlainConsumer extends RoomConsumer {
  protected override async performCreate(...given: Parameters<RoomConsumer['performCreate']>) {
    return super.performCreate(...given);
  }
  protected override async performPatch(...given: Parameters<RoomConsumer['performPatch']>) {
    return super.performPatch(...given);
  }
}

@Entity({ tableName: 'room_name', expression: 'select id, name from room', view: true })
class RoomName {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@injectable()
class RoomNameSerializer extends ModelSerializer(RoomName, { fields: ['id', 'name'] }) {}

@Consumer()
class RoomNameConsumer extends mix(ModelConsumer(RoomName, { serializer: RoomNameSerializer }), BulkDelete) {}

describe('A request that writes several rows', () => {
  const database = useDatabase('model_bulk', [...entities, RoomName]);
  const rooms = useRooms(
    database,
    [
      path('/rooms/', RoomConsumer),
      path('/current/', CurrentConsumer),
      path('/judged/', JudgedConsumer),
      path('/named/', NamedConsumer),
      path('/plain/', PlainConsumer),
    ],
    [{ name: 'red' }, { name: 'blue' }, { name: 'grey', archived: true }],
  );

  beforeEach(() => {
    meanwhile = async () => {};
  });

  async function ask(action: string, kwargs: object, to = rooms.ann) {
    to.send({ action, request_id: 1, ...kwargs });
    return to.receive();
  }

  async function names(): Promise<readonly string[]> {
    const rows = await rooms.em.execute<{ name: string }[]>('select name from room order by id');
    return rows.map(({ name }) => name);
  }

  async function entriesOfLog(): Promise<number> {
    const [row] = await rooms.em.execute<{ count: string }[]>('select count(*) from signalbox.log');
    return Number(row?.count);
  }

  it('creates them all, and shows them in the order of the list', async () => {
    expect(
      await ask('bulk_create', { data: [{ name: 'green' }, { name: 'black', archived: true, host: 1 }] }),
    ).to.deep.equal({
      errors: [],
      data: [
        { id: 4, name: 'green', archived: false, host: null },
        { id: 5, name: 'black', archived: true, host: 1 },
      ],
      action: 'bulk_create',
      response_status: 201,
      request_id: 1,
    });
    expect(await names()).to.deep.equal(['red', 'blue', 'grey', 'green', 'black']);
  });

  it('patches them all, and shows them in the order of the list', async () => {
    const data = [
      { pk: 3, data: { name: 'black' } },
      { pk: 1, data: { archived: true } },
    ];
    expect(await ask('bulk_patch', { data })).to.deep.equal({
      errors: [],
      data: [
        { id: 3, name: 'black', archived: true, host: null },
        { id: 1, name: 'red', archived: true, host: null },
      ],
      action: 'bulk_patch',
      response_status: 200,
      request_id: 1,
    });
    expect(await names()).to.deep.equal(['red', 'blue', 'black']);
  });

  it('deletes them all', async () => {
    expect(await ask('bulk_delete', { pks: [3, 1] })).to.deep.equal({
      errors: [],
      data: null,
      action: 'bulk_delete',
      response_status: 204,
      request_id: 1,
    });
    expect(await names()).to.deep.equal(['blue']);
  });

  it('is one entry of the change log, and its events come in the order of the list', async () => {
    await ask('subscribe_rows', { request_id: 2 });
    const before = await entriesOfLog();
    await ask('bulk_create', { data: [{ name: 'one' }, { name: 'two' }, { name: 'three' }] });
    const created = [await rooms.ann.receive(), await rooms.ann.receive(), await rooms.ann.receive()];
    expect(created.map(({ action, data }) => [action, (data as Room).name])).to.deep.equal([
      ['create', 'one'],
      ['create', 'two'],
      ['create', 'three'],
    ]);
    await ask('bulk_patch', {
      data: [
        { pk: 4, data: { name: 'four' } },
        { pk: 1, data: { name: 'pink' } },
      ],
    });
    const patched = [await rooms.ann.receive(), await rooms.ann.receive()];
    expect(patched.map(({ data }) => (data as Room).id)).to.deep.equal([4, 1]);
    await ask('bulk_delete', { pks: [5, 2] });
    const deleted = [await rooms.ann.receive(), await rooms.ann.receive()];
    expect(deleted.map(({ data }) => data)).to.deep.equal([{ pk: 5 }, { pk: 2 }]);
    expect((await entriesOfLog()) - before).to.equal(3);
  });

  it('answers 400 with the index of each field that does not fit, and stores nothing', async () => {
    const errors = [
      {
        '1.name': ['name must be longer than or equal to 1 characters.'],
        '2.name': ['This field is required.'],
        '2.host': ['Invalid pk 9 - object does not exist.'],
        '3.non_field_errors': ['Invalid data. Expected an object.'],
      },
    ];
    const data = [{ name: 'green' }, { name: '' }, { host: 9 }, 'room'];
    expect(await ask('bulk_create', { data })).to.deep.include({
      response_status: 400,
      errors,
      code: 'validation_failed',
    });
    const patch = [
      { pk: 1, data: { name: 'pink' } },
      { pk: 2, data: { archived: 'yes' } },
    ];
    expect(await ask('bulk_patch', { data: patch })).to.deep.include({
      response_status: 400,
      errors: [{ '1.archived': ['Must be a valid boolean.'] }],
    });
    expect(await names()).to.deep.equal(['red', 'blue', 'grey']);
  });

  for (const { title, action, data, errors } of [
    {
      title: 'that another row has',
      action: 'bulk_create',
      data: [{ name: 'green' }, { name: 'red' }, { name: 'black' }],
      errors: { '1.name': ['An object with this name already exists.'] },
    },
    {
      title: 'that an earlier item has',
      action: 'bulk_create',
      data: [{ name: 'green' }, { name: 'black' }, { name: 'green' }],
      errors: { '2.name': ['An object with this name already exists.'] },
    },
    {
      title: 'that another item keeps',
      action: 'bulk_patch',
      data: [
        { pk: 3, data: { archived: false } },
        { pk: 2, data: { name: 'red' } },
        { pk: 1, data: { name: 'red', archived: true } },
      ],
      errors: { '1.name': ['An object with this name already exists.'] },
    },
  ])
    it(`is answered 409 with the index of the item whose value is one ${title}, and stores nothing`, async () => {
      for (const where of ['/rooms/', '/plain/']) {
        await using bob = await connect(rooms.app, where);
        expect(await ask(action, { data }, bob), where).to.deep.include({
          response_status: 409,
          errors: [errors],
          code: 'conflict',
        });
      }
      expect(await names()).to.deep.equal(['red', 'blue', 'grey']);
    });

  for (const { title, action, kwargs, errors } of [
    { title: 'no list', action: 'bulk_create', kwargs: {}, errors: { data: ['This field is required.'] } },
    {
      title: 'a single row',
      action: 'bulk_create',
      kwargs: { data: {} },
      errors: { data: ['Expected a list of items.'] },
    },
    {
      title: 'an empty list',
      action: 'bulk_delete',
      kwargs: { pks: [] },
      errors: { pks: ['This list may not be empty.'] },
    },
    {
      title: 'more rows than the consumer takes',
      action: 'bulk_delete',
      kwargs: { pks: [1, 2, 3, 4, 5] },
      errors: { pks: ['Ensure this field has no more than 4 elements.'] },
    },
    {
      title: 'an item that is no object',
      action: 'bulk_patch',
      kwargs: { data: [{ pk: 1, data: {} }, 2] },
      errors: { 1: ['Invalid data. Expected an object.'] },
    },
    {
      title: 'an item without a key',
      action: 'bulk_patch',
      kwargs: { data: [{ data: {} }] },
      errors: { '0.pk': ['This field is required.'] },
    },
    {
      title: 'a row that is named twice',
      action: 'bulk_patch',
      kwargs: {
        data: [
          { pk: 1, data: {} },
          { pk: '1', data: {} },
        ],
      },
      errors: { '1.pk': ['This row occurs twice.'] },
    },
    {
      title: 'a row that is to be deleted twice',
      action: 'bulk_delete',
      kwargs: { pks: [1, 1] },
      errors: { 1: ['This row occurs twice.'] },
    },
  ]) {
    it(`answers 400 to ${title}`, async () => {
      expect(await ask(action, kwargs)).to.deep.include({ response_status: 400, errors: [errors], data: null });
      expect(await names()).to.deep.equal(['red', 'blue', 'grey']);
    });
  }

  it('answers 404 with the index of a row that is not there, that the query leaves out, or that a permission refuses', async () => {
    const data = [
      { pk: 1, data: { name: 'pink' } },
      { pk: 3, data: { name: 'black' } },
    ];
    for (const where of ['/current/', '/judged/']) {
      await using bob = await connect(rooms.app, where);
      expect(await ask('bulk_patch', { data }, bob), where).to.deep.include({
        response_status: 404,
        errors: [{ 1: ['Not found.'] }],
        code: 'not_found',
      });
      expect(await ask('bulk_delete', { pks: [2, 3] }, bob), where).to.deep.include({
        errors: [{ 1: ['Not found.'] }],
      });
    }
    expect(await ask('bulk_delete', { pks: [99] })).to.deep.include({ errors: [{ 0: ['Not found.'] }] });
    expect(await names()).to.deep.equal(['red', 'blue', 'grey']);
  });

  it('asks for each row what the action for it alone asks, and calls its hooks with that request', async () => {
    await using bob = await connect(rooms.app, '/judged/');
    expect(await ask('bulk_create', { data: [{ name: 'green' }, { name: 'secret' }] }, bob)).to.deep.include({
      response_status: 403,
      errors: [{ 1: ['You do not have permission to perform this action.'] }],
    });
    expect(await ask('bulk_delete', { pks: [2, 1] }, bob)).to.deep.include({ response_status: 403 });
    expect(await ask('bulk_delete', { pks: [2] }, bob)).to.include({ response_status: 204 });
    await using eve = await connect(rooms.app, '/current/');
    await ask('bulk_create', { data: [{ name: 'green' }] }, eve);
    expect(await names()).to.deep.equal(['red', 'grey', 'create green']);
  });

  it('names rows as the other actions do', async () => {
    await using bob = await connect(rooms.app, '/named/');
    expect(await ask('bulk_patch', { data: [{ name: 'red', data: { name: 'pink' } }] }, bob)).to.deep.include({
      data: [{ id: 1, name: 'pink', archived: false, host: null }],
    });
    expect(await ask('bulk_delete', { pks: ['pink', 'blue'] }, bob)).to.include({ response_status: 204 });
    expect(await names()).to.deep.equal(['grey']);
  });

  it('asks the permissions once for itself and once for each row', async () => {
    await using bob = await connect(rooms.app, '/judged/');
    asked = 0;
    await ask('bulk_delete', { pks: [2] }, bob);
    expect(asked).to.equal(2);
  });

  it('judges its rows as they are once they are locked, and keeps what another writer wrote', async () => {
    await using bob = await connect(rooms.app, '/judged/');
    const data = [
      { pk: 2, data: { name: 'navy' } },
      { pk: 1, data: { name: 'red' } },
    ];
    const once = (statement: string) => async () => {
      meanwhile = async () => {};
      await rooms.em.execute(statement);
    };
    meanwhile = once('update room set archived = true where id = 1');
    expect(await ask('bulk_patch', { data }, bob)).to.deep.include({ errors: [{ 1: ['Not found.'] }] });
    expect(await names()).to.deep.equal(['red', 'blue', 'grey']);
    await rooms.em.execute('update room set archived = false where id = 1');
    meanwhile = once(`update room set name = 'rust', host_id = 1 where id = 1`);
    expect(await ask('bulk_patch', { data }, bob)).to.deep.include({
      data: [
        { id: 2, name: 'navy', archived: false, host: null },
        { id: 1, name: 'red', archived: false, host: 1 },
      ],
    });
  });

  for (const where of ['/rooms/', '/plain/'])
    it(`waits for another one that names the same rows in another order, and neither fails (${where})`, async () => {
      await using bob = await connect(rooms.app, where);
      await using eve = await connect(rooms.app, where);
      const forth = [1, 2, 3].map((pk) => ({ pk, data: { name: `forth ${pk}` } }));
      const back = [3, 2, 1].map((pk) => ({ pk, data: { name: `back ${pk}` } }));
      for (let round = 0; round < 15; round += 1) {
        const replies = await Promise.all([
          ask('bulk_patch', { data: forth }, eve),
          ask('bulk_patch', { data: back }, bob),
        ]);
        expect(replies.map((reply) => reply.response_status)).to.deep.equal([200, 200]);
        const stored = await names();
        expect(['forth 1,forth 2,forth 3', 'back 1,back 2,back 3']).to.include(String(stored));
      }
    });

  it('is refused at start-up of a view', () => {
    expect(() => createApp({ orm: database.orm, routes: [path('/', RoomNameConsumer)] })).to.throw(
      'RoomNameConsumer.bulkDelete: would write RoomName, which is a view, but MikroORM writes nothing to views. ' +
        'Leave the mixin out, or write the action bulkDelete yourself.',
    );
  });

  it('is refused at start-up with a bound that is none', () => {
    for (const maximumBulkSize of [0, 1.5, Number.NaN])
      expect(() => ModelConsumer(Room, { serializer: WholeRoomSerializer, maximumBulkSize })).to.throw(
        `ModelConsumer(Room): takes ${maximumBulkSize} rows in one request, by its maximumBulkSize. Give a whole number above 0.`,
      );
  });
});
