import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { Expose } from 'class-transformer';
import {
  Action,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  DetailAction,
  demultiplexer,
  ModelConsumer,
  ModelSerializer,
  mix,
  path,
  Retrieve,
  type Route,
  reply,
  Serializer,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { testProviders } from '../support/providers.js';
import { RoomSerializer } from '../support/rooms.js';

@injectable()
class UserSerializer extends ModelSerializer(User, { fields: ['id', 'password'], writeOnly: ['password'] }) {}

@injectable()
class UserKey extends Serializer<User, { key: string }> {
  toData(user: User) {
    return { key: `user ${user.id}` };
  }
}

class RoomView {
  @Expose() name!: string;
}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @DetailAction() own(room: Room) {
    return room;
  }

  @Action() async ownList() {
    return this.em.find(Room, {}, { orderBy: { id: 'asc' } });
  }

  @Action() async ownAndNone() {
    return [await this.em.findOneOrFail(Room, 1), null, await this.em.findOneOrFail(Room, 1)];
  }

  @Action() async ownAndOthers() {
    return [await this.em.findOneOrFail(Room, 1), await this.em.findOneOrFail(User, 1), { plain: 1 }];
  }

  @Action() async within() {
    const [red, blue] = await this.em.find(Room, {}, { orderBy: { id: 'asc' } });
    return { items: [red, blue], first: { room: red }, rows: [{ room: blue }], count: 2, at: new Date(0) };
  }

  @Action() async setAndMap() {
    const [red, blue] = await this.em.find(Room, {}, { orderBy: { id: 'asc' } });
    return {
      set: new Set([red, 1]),
      map: new Map([['blue', { room: blue }]]),
      none: new Map(),
      numbers: new Map([[1, 2n]]),
    };
  }

  @Action() async strangeMap() {
    return new Map([[{ id: 1 }, 1]]);
  }

  @Action() async other() {
    return this.em.findOneOrFail(User, 1);
  }

  @Action() async nested() {
    return { by: await this.em.findOneOrFail(User, 1), count: 12345678901234567890n };
  }

  @Action({ reply: UserSerializer }) async declared() {
    return await this.em.findOneOrFail(User, 1);
  }

  @Action({ reply: UserSerializer }) async declaredList() {
    return [await this.em.findOneOrFail(User, 1), await this.em.findOneOrFail(User, 2)];
  }

  @Action({ reply: UserSerializer }) async declaredAndNone() {
    return [await this.em.findOneOrFail(User, 1), null] as never;
  }

  @Action({ reply: UserSerializer }) async declaredAndPlain() {
    return [await this.em.findOneOrFail(User, 1), { id: 7, username: 'x', password: 'secret' }];
  }

  @Action({ reply: UserSerializer }) async declaredMembers() {
    const room = await this.em.findOneOrFail(Room, 1, { populate: ['members'] });
    return room.members as never;
  }

  @Action({ reply: UserSerializer }) async *declaredParts() {
    yield await this.em.findOneOrFail(User, 1);
    return await this.em.findOneOrFail(User, 2);
  }

  @Action({ reply: UserKey }) async ownSerializer() {
    return [await this.em.findOneOrFail(User, 1), null] as never;
  }

  @Action({ reply: RoomView }) async view() {
    return (await this.em.findOneOrFail(Room, 1)) as RoomView;
  }

  @Action({ reply: RoomView }) async viewOfPlain() {
    return [{ name: 'x', id: 5, secret: true }];
  }

  @Action() async named() {
    return reply(await this.em.findOneOrFail(User, 1), { serializer: UserKey, status: 203 });
  }

  @Action({ reply: RoomSerializer }) async namedOverDeclared() {
    return reply([await this.em.findOneOrFail(User, 1)], { serializer: UserKey }) as never;
  }

  @Action() async members() {
    const room = await this.em.findOneOrFail(Room, 1, { populate: ['members'] });
    return room.members;
  }
}

@Consumer()
class PlainConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action() async member() {
    return this.em.findOneOrFail(User, 1);
  }

  @Action({ reply: RoomSerializer }) async room() {
    return await this.em.findOneOrFail(Room, 1);
  }
}

describe('What an action returns', () => {
  const database = useDatabase('model_result');
  let app: App<readonly Route[]>;
  let client: TestConnection;

  beforeEach(async () => {
    const routes = [path('/', demultiplexer({ rooms: RoomConsumer, plain: PlainConsumer }))];
    app = createApp<readonly Route[]>({ orm: database.orm, routes, container: testProviders().container });
    const em = database.orm.em.fork();
    const ann = em.create(User, { username: 'ann', password: 'secret' });
    const bob = em.create(User, { username: 'bob', password: 'secret' });
    em.create(Room, { name: 'red', host: ann, members: [ann, bob] });
    em.create(Room, { name: 'blue' });
    await em.flush();
    client = await connect(app, '/');
  });
  afterEach(() => app.close());

  const ann = { id: 1, username: 'ann' };
  const table: Record<string, readonly (readonly [what: string, action: string, data: unknown])[]> = {
    'where no view is asked for,': [
      ["goes through the consumer's serializer where it is its model", 'own', { id: 1, name: 'red' }],
      [
        'goes through it in a list',
        'own_list',
        [
          { id: 1, name: 'red' },
          { id: 2, name: 'blue' },
        ],
      ],
      ['goes through it beside nothing', 'own_and_none', [{ id: 1, name: 'red' }, null, { id: 1, name: 'red' }]],
      ['goes through it beside others', 'own_and_others', [{ id: 1, name: 'red' }, ann, { plain: 1 }]],
      [
        'goes through it wherever it stands',
        'within',
        {
          items: [
            { id: 1, name: 'red' },
            { id: 2, name: 'blue' },
          ],
          first: { room: { id: 1, name: 'red' } },
          rows: [{ room: { id: 2, name: 'blue' } }],
          count: 2,
          at: '1970-01-01T00:00:00.000Z',
        },
      ],
      [
        'shows sets as lists and maps as objects',
        'set_and_map',
        {
          set: [{ id: 1, name: 'red' }, 1],
          map: { blue: { room: { id: 2, name: 'blue' } } },
          none: {},
          numbers: { 1: '2' },
        },
      ],
      ['shows no hidden column of another entity', 'other', ann],
      ['shows no hidden column inside of other data', 'nested', { by: ann, count: '12345678901234567890' }],
      [
        'shows no hidden column of a collection',
        'members',
        [
          { id: 1, username: 'ann' },
          { id: 2, username: 'bob' },
        ],
      ],
    ],
    'where a view is asked for,': [
      ['leaks no column', 'declared', { id: 1 }],
      ['leaks none in a list', 'declared_list', [{ id: 1 }, { id: 2 }]],
      ['leaks none beside nothing', 'declared_and_none', [{ id: 1 }, null]],
      ['leaks none beside plain data, nor those', 'declared_and_plain', [{ id: 1 }, { id: 7 }]],
      ['leaks none of a collection', 'declared_members', [{ id: 1 }, { id: 2 }]],
      ['leaks none beside nothing by a serializer of its own', 'own_serializer', [{ key: 'user 1' }, null]],
      ['leaks none by a class', 'view', { name: 'red' }],
      ['leaks none of plain data by a class', 'view_of_plain', [{ name: 'x' }]],
      ['is what reply() says', 'named', { key: 'user 1' }],
      ['is what reply() says, whatever is declared', 'named_over_declared', [{ key: 'user 1' }]],
    ],
  };
  for (const [where, rows] of Object.entries(table)) {
    describe(where, () => {
      for (const [what, action, data] of rows) {
        it(what, async () => {
          const answer = await client.channel('rooms').request(action, { pk: 1 });
          expect(answer.errors).to.deep.equal([]);
          expect(answer.data).to.deep.equal(data);
        });
      }
    });
  }

  it('is refused where a map has keys that an object cannot have', async () => {
    const answer = await client.channel('rooms').request('strange_map');
    expect(answer).to.include({ response_status: 500, code: 'server_error', data: null });
  });

  it('is filtered in every part of a generator', async () => {
    const rooms = client.channel('rooms');
    await rooms.request('declared_parts');
    expect(rooms.frames.map(({ response_status, data }) => [response_status, data])).to.deep.equal([
      [206, { id: 1 }],
      [200, { id: 2 }],
    ]);
  });

  it('is filtered by a consumer without a model', async () => {
    const plain = client.channel('plain');
    expect(await plain.request('member')).to.deep.include({ data: ann });
    expect(await plain.request('room')).to.deep.include({ data: { id: 1, name: 'red' } });
  });
});
