import { EntityManager, type FilterQuery } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  List,
  type Mixin,
  type MixinTypes,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
  path,
  Retrieve,
  type Route,
  type SerializerContext,
  Update,
  type WritingSerializer,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'host', 'archived'] }) {}

@injectable()
class NameSerializer extends ModelSerializer(Room, { fields: ['name'], computed: ['asked'] }) {
  asked(_room: Room, { request }: SerializerContext): string | undefined {
    return request?.action;
  }
}

interface CountTypes extends MixinTypes {
  readonly actions: { count(context: ActionContext): Promise<number> };
}

const Count: Mixin<CountTypes> = (base) => {
  abstract class Counting extends base {
    @Action()
    async count(_context: ActionContext): Promise<number> {
      return this.unitOfWork.em.count(Room);
    }
  }
  return Counting;
};

const base = mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  Count,
);

@Consumer()
class PlainConsumer extends base {}

class Factor {
  @IsInt() factor!: number;
}

type Serializing = WritingSerializer<Room, typeof RoomSerializer>;

/** Every hook overridden, and noted. */
let hooks: string[] = [];

@Consumer()
class HookedConsumer extends base {
  constructor(private readonly em: EntityManager) {
    super();
  }

  override async list(context: ActionContext) {
    const rooms = await super.list(context);
    return rooms.toReversed();
  }

  override async count(context: ActionContext) {
    return (await super.count(context)) * 10;
  }

  @Action() async multiply({ factor }: Factor) {
    return factor * 2;
  }

  protected override async getQuery(_context: ActionContext): Promise<FilterQuery<Room>> {
    hooks.push('getQuery');
    return { archived: false };
  }

  protected override filterQuery(query: FilterQuery<Room>, { kwargs }: ActionContext): FilterQuery<Room> {
    hooks.push('filterQuery');
    return typeof kwargs.name === 'string' ? ({ $and: [query, { name: kwargs.name }] } as FilterQuery<Room>) : query;
  }

  protected override async getObject(pk: unknown, context: ActionContext): Promise<Room> {
    hooks.push('getObject');
    return super.getObject(pk === 'first' ? 1 : pk, context);
  }

  protected override getSerializer(context: ActionContext) {
    hooks.push('getSerializer');
    return context.kwargs.brief ? NameSerializer : super.getSerializer(context);
  }

  protected override getSerializerContext(request: ActionContext): SerializerContext {
    hooks.push('getSerializerContext');
    return super.getSerializerContext(request);
  }

  protected override async performCreate(
    serializer: Serializing,
    data: Parameters<Serializing['create']>[0],
    context: ActionContext,
  ): Promise<Room> {
    hooks.push('performCreate');
    const host = await this.em.findOneOrFail(User, { username: 'ann' });
    return super.performCreate(serializer, { ...data, host }, context);
  }

  protected override async performUpdate(
    serializer: Serializing,
    room: Room,
    data: Parameters<Serializing['update']>[1],
    context: ActionContext,
  ): Promise<Room> {
    hooks.push('performUpdate');
    return super.performUpdate(serializer, room, { ...data, name: `${room.name}!` }, context);
  }

  protected override async performDelete(room: Room, _context: ActionContext): Promise<void> {
    hooks.push('performDelete');
    room.archived = true;
  }
}

/** What each of them answers in the first place is in dcrf/crud-mixins.spec.ts. */
describe('The mixins of a model consumer', () => {
  const database = useDatabase('model_mixins');
  let app: App<readonly Route[]>;
  let plain: TestConnection;
  let hooked: TestConnection;

  beforeEach(async () => {
    const routes = [path('/plain/', PlainConsumer), path('/hooked/', HookedConsumer)];
    app = createApp<readonly Route[]>({ orm: database.orm, routes, container: testProviders().container });
    const em = database.orm.em.fork();
    const host = em.create(User, { username: 'ann', password: 'secret' });
    em.create(Room, { name: 'red', host });
    em.create(Room, { name: 'blue' });
    em.create(Room, { name: 'old', archived: true });
    await em.flush();
    plain = await connect(app, '/plain/');
    hooked = await connect(app, '/hooked/');
    hooks = [];
  });
  afterEach(() => app.close());

  const red = { id: 1, name: 'red', host: 1, archived: false };
  const blue = { id: 2, name: 'blue', host: null, archived: false };
  const old = { id: 3, name: 'old', host: null, archived: true };
  const ok = (action: string, data: unknown, status = 200) => ({
    errors: [],
    data,
    action,
    response_status: status,
    request_id: 'test-1',
  });
  const notFound = (action: string) => ({
    errors: ['Not found.'],
    data: null,
    action,
    response_status: 404,
    request_id: 'test-1',
    code: 'not_found',
  });
  const stored = (id: number) => database.orm.em.fork().findOne(Room, id);

  it('list all rows, in the order of their keys', async () => {
    expect(await plain.request('list')).to.deep.equal(ok('list', [red, blue, old]));
  });

  it('refuse data that are no object', async () => {
    for (const action of ['create', 'update', 'patch']) {
      expect(await plain.request(action, { pk: 1 })).to.deep.include({
        errors: [{ non_field_errors: ['No data provided.'] }],
        response_status: 400,
      });
      expect(await plain.request(action, { pk: 1, data: [] })).to.deep.include({
        errors: [{ non_field_errors: ['Invalid data. Expected an object.'] }],
        response_status: 400,
      });
    }
  });

  for (const action of ['retrieve', 'update', 'patch', 'delete']) {
    for (const pk of [
      4,
      0,
      -1,
      '4',
      1.5,
      '1.5',
      'x',
      '',
      ' 1',
      null,
      true,
      {},
      [],
      [1],
      { id: 1 },
      2147483648,
      1e300,
    ]) {
      it(`answer 404 to ${action} of ${JSON.stringify(pk)}`, async () => {
        expect(await plain.request(action, { pk, data: { name: 'x' } })).to.deep.equal(notFound(action));
      });
    }

    it(`answer 400 to ${action} of nothing`, async () => {
      expect(await plain.request(action, { data: { name: 'x' } })).to.deep.include({
        errors: [{ pk: ['This field is required.'] }],
        response_status: 400,
      });
    });
  }

  it('may be written by applications', async () => {
    expect(await plain.request('count')).to.deep.equal(ok('count', 3));
  });

  describe('with hooks overridden', () => {
    it('see no row beyond the query', async () => {
      expect(await hooked.request('list')).to.deep.equal(ok('list', [blue, red]));
      for (const action of ['retrieve', 'update', 'patch', 'delete']) {
        expect(await hooked.request(action, { pk: 3, data: { name: 'x' } })).to.include({ response_status: 404 });
      }
      expect(await stored(3)).to.include({ name: 'old' });
    });

    it('narrow the query by what the client sends', async () => {
      expect(await hooked.request('list', { name: 'red' })).to.deep.equal(ok('list', [red]));
      expect(hooks.slice(0, 2)).to.deep.equal(['getQuery', 'filterQuery']);
    });

    it('look an object up in their own way', async () => {
      expect(await hooked.request('retrieve', { pk: 'first' })).to.deep.equal(ok('retrieve', red));
      expect(hooks).to.deep.equal(['getObject', 'getQuery', 'filterQuery', 'getSerializer', 'getSerializerContext']);
    });

    it('choose the serializer by the request, and tell it the request', async () => {
      expect(await hooked.request('retrieve', { pk: 1, brief: true })).to.deep.equal(
        ok('retrieve', { name: 'red', asked: 'retrieve' }),
      );
      expect(await hooked.request('list', { brief: true })).to.deep.include({
        data: [
          { name: 'blue', asked: 'list' },
          { name: 'red', asked: 'list' },
        ],
      });
    });

    it('create, update and delete in their own way', async () => {
      expect(await hooked.request('create', { data: { name: 'green' } })).to.deep.equal(
        ok('create', { id: 4, name: 'green', host: 1, archived: false }, 201),
      );
      expect(await hooked.request('patch', { pk: 4, data: { name: 'lime' } })).to.deep.include({
        data: { id: 4, name: 'green!', host: 1, archived: false },
      });
      expect(await hooked.request('update', { pk: 4, data: { name: 'lime' } })).to.deep.include({
        data: { id: 4, name: 'green!!', host: 1, archived: false },
      });
      expect(await hooked.request('delete', { pk: 4 })).to.include({ response_status: 204, data: null });
      expect(await stored(4)).to.include({ archived: true });
      expect(hooks.filter((hook) => hook.startsWith('perform'))).to.deep.equal([
        'performCreate',
        'performUpdate',
        'performUpdate',
        'performDelete',
      ]);
    });

    it('call what they override by super, and have actions beside it', async () => {
      expect(await hooked.request('count')).to.deep.equal(ok('count', 30));
      expect(await hooked.request('multiply', { factor: 4 })).to.include({ data: 8 });
    });
  });

  it('bring no action that is not mixed in', async () => {
    @Consumer()
    class ReadOnly extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List) {}
    const routes = [path('/', ReadOnly)];
    const readOnly = createApp<readonly Route[]>({ orm: database.orm, routes, container: testProviders().container });
    await using client = await connect(readOnly, '/');
    expect(await client.request('delete', { pk: 1 })).to.include({ response_status: 405 });
    expect(await client.request('list')).to.include({ response_status: 200 });
    await readOnly.close();
  });
});
