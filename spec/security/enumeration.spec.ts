import { expect } from 'chai';
import {
  type ActionContext,
  Consumer,
  Create,
  Delete,
  DetailAction,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
  type SerializerContext,
  Update,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, Room } from '../support/entities.js';
import { ask, Served, userIdOf } from './served.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'host'], readOnly: ['host'] }) {}

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text', 'room'] }) {
  protected override relationQuery(field: string, { request }: SerializerContext) {
    return field === 'room' ? { host: userIdOf(request?.scope) } : {};
  }
}

@injectable()
class IsHost implements Permission {
  hasObjectPermission({ scope }: ActionContext, { host }: Room) {
    return host?.id === userIdOf(scope);
  }
}

abstract class Rooms extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  Retrieve,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  @DetailAction()
  archive(room: Room) {
    room.archived = true;
  }
}

/** Rooms of others are not among the rows. */
@Consumer()
class VisibleRooms extends Rooms {
  protected override getQuery({ scope }: ActionContext) {
    return { host: userIdOf(scope) };
  }
}

/** Rooms of others are refused. */
@Consumer()
@Permissions(IsHost)
class PermittedRooms extends Rooms {}

@Consumer()
@Permissions(IsHost)
class NamedRooms extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'name' }),
  Retrieve,
  Update,
  Patch,
  Delete,
) {
  @DetailAction()
  archive(room: Room) {
    room.archived = true;
  }
}

@Consumer()
class Messages extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), Create, Patch) {}

const details = ['retrieve', 'update', 'patch', 'delete', 'archive'];
const places: readonly [string, string, unknown, unknown, readonly string[]][] = [
  ['/visible/', 'pk', 2, 99, [...details, 'subscribe_instance']],
  ['/permitted/', 'pk', 2, 99, [...details, 'subscribe_instance']],
  ['/named/', 'name', 'blue', 'none', details],
];

describe('Enumeration', () => {
  const database = useDatabase('security_enumeration');
  let served: Served;

  before(async () => {
    served = await Served.by(database.orm, [
      path('/visible/', VisibleRooms),
      path('/permitted/', PermittedRooms),
      path('/named/', NamedRooms),
      path('/messages/', Messages),
    ]);
  });
  after(() => served[Symbol.asyncDispose]());
  beforeEach(async () => {
    const em = database.orm.em.fork();
    await em.execute(`insert into "user" (username, password) values ('ann', 'x'), ('bob', 'x')`);
    await em.execute(`insert into room (name, archived, host_id) values ('red', false, 1), ('blue', false, 2)`);
    await em.execute(`insert into message (room_id, text, user_id) values (1, 'first', 1)`);
  });

  for (const [at, lookup, forbidden, absent, actions] of places) {
    for (const action of actions) {
      for (const data of [{ name: 'new' }, { name: 5 }, undefined]) {
        it(`by ${action} at ${at} with ${JSON.stringify(data)} tells a forbidden row from an absent one by nothing`, async () => {
          await using ann = await served.open(at, 1);
          const textOf = async (key: unknown): Promise<string> =>
            JSON.stringify(await ask(ann, { action, request_id: 1, [lookup]: key, data }));
          const told = `{"errors":["Not found."],"data":null,"action":"${action}","response_status":404,"request_id":1,"code":"not_found"}`;
          expect(await textOf(forbidden)).to.equal(told);
          expect(await textOf(absent)).to.equal(told);
          for (const key of [null, {}, [], true, -1, 2 ** 40, '2 ', "' or 1=1", { $ne: 1 }, { id: forbidden }])
            expect(await textOf(key), JSON.stringify(key)).to.equal(told);
          const stored = await database.orm.em.fork().execute('select archived, name from room where id = 2');
          expect(stored).to.deep.equal([{ archived: false, name: 'blue' }]);
        });
      }
    }
  }

  it('by unsubscribing tells nothing either', async () => {
    await using ann = await served.open('/visible/', 1);
    for (const pk of [1, 2, 99]) {
      expect(JSON.stringify(await ask(ann, { action: 'unsubscribe_instance', request_id: 1, pk }))).to.equal(
        '{"errors":[],"data":null,"action":"unsubscribe_instance","response_status":204,"request_id":1}',
      );
    }
  });

  for (const [action, pk] of [
    ['create', {}],
    ['patch', { pk: 1 }],
  ] as const) {
    it(`by a relation of ${action} tells a forbidden row from an absent one by nothing but its key`, async () => {
      await using ann = await served.open('/messages/', 1);
      const textOf = async (room: number): Promise<string> => {
        const frame = await ask(ann, { action, request_id: 1, ...pk, data: { text: 'hi', room } });
        return JSON.stringify(frame).replace(`pk ${room}`, 'pk');
      };
      expect(await textOf(2)).to.equal(
        `{"errors":[{"room":["Invalid pk - object does not exist."]}],"data":null,"action":"${action}","response_status":400,"request_id":1,"code":"validation_failed"}`,
      );
      expect(await textOf(99)).to.equal(await textOf(2));
    });
  }
});
