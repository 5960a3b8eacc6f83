import { expect } from 'chai';
import {
  type ActionContext,
  Consumer,
  Create,
  type DataOf,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
  path,
  Update,
  type WritingSerializer,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, User } from '../support/entities.js';
import { ask, Served, userIdOf } from './served.js';

@injectable()
class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text', 'room', 'user'],
  readOnly: ['user'],
}) {}

@Consumer()
class Messages extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), Create, Update, Patch) {
  protected override performCreate(
    serializer: WritingSerializer<Message, typeof MessageSerializer>,
    data: DataOf<typeof MessageSerializer>,
    context: ActionContext,
  ) {
    const user = this.unitOfWork.em.getReference(User, userIdOf(context.scope));
    return serializer.create({ ...data, user }, this.getSerializerContext(context));
  }
}

/** Keys that a client has no business to send, and what it tries to set by them. */
const dropped: readonly [string, unknown][] = [
  ['id', 77],
  ['pk', 77],
  ['user', 2],
  ['user', { id: 2, username: 'mallory' }],
  ['user_id', 2],
  ['userId', 2],
  ['user.id', 2],
  ['USER', 2],
  ['room_id', 2],
  ['roomId', 2],
  ['room.id', 2],
  ['room.name', 'mine'],
  ['text ', 'spaced'],
  ['Text', 'upper'],
  ['admin', true],
  ['$or', [{ id: 1 }]],
  ['$set', { user: 2 }],
  ['constructor', { user: 2 }],
  ['prototype', { user: 2 }],
  ['toString', 'x'],
  ['toJSON', 'x'],
  ['hasOwnProperty', 'x'],
  ['then', 'x'],
  ['__helper', { __meta: {} }],
  ['__meta', {}],
  ['__entity', true],
  ['__originalEntityData', { user: 2 }],
  ['', 'empty'],
  ['0', 'index'],
];

const missing = (key: unknown) => [{ room: [`Invalid pk ${JSON.stringify(key)} - object does not exist.`] }];

/** Values that stand for more than a value where they are accepted at all. */
const refused: readonly [string, unknown, unknown][] = [
  ['room', { id: 2, name: 'mine' }, missing({ id: 2, name: 'mine' })],
  ['room', { id: 2 }, missing({ id: 2 })],
  ['room', [2], missing([2])],
  ['room', { $ne: 1 }, missing({ $ne: 1 })],
  ['room', '2 or 1=1', missing('2 or 1=1')],
  ['room', true, missing(true)],
  ['room', 9, missing(9)],
  ['room', null, [{ room: ['This field may not be null.'] }]],
  ['text', { $ne: null }, [{ text: ['Not a valid string.'] }]],
  ['text', ['a'], [{ text: ['Not a valid string.'] }]],
  ['text', { toString: 'x' }, [{ text: ['Not a valid string.'] }]],
];

const actions = ['create', 'update', 'patch'] as const;

describe('Mass assignment', () => {
  const database = useDatabase('security_mass_assignment');
  let served: Served;

  before(async () => {
    served = await Served.by(database.orm, [path('/messages/', Messages)]);
  });
  after(() => served[Symbol.asyncDispose]());
  beforeEach(async () => {
    const { em } = database.orm;
    await em.fork().execute(`insert into "user" (username, password) values ('ann', 'x'), ('mallory', 'x')`);
    await em.fork().execute(`insert into room (name, archived, host_id) values ('red', false, 1), ('blue', false, 1)`);
    await em.fork().execute(`insert into message (room_id, text, user_id) values (1, 'first', 1)`);
    served.logger.entries.splice(0);
  });

  const stored = (): Promise<unknown> =>
    database.orm.em.fork().execute('select id, room_id, text, user_id from message order by id');
  const first = { id: 1, room_id: 1, text: 'first', user_id: 1 };

  for (const action of actions) {
    const pk = action === 'create' ? {} : { pk: 1 };
    const id = action === 'create' ? 2 : 1;

    for (const [key, value] of dropped) {
      it(`of ${JSON.stringify(key)} by ${action} writes nothing, and is noted`, async () => {
        await using ann = await served.open('/messages/', 1);
        const data = { text: 'hi', room: 1, [key]: value };
        expect(await ask(ann, { action, request_id: 1, ...pk, data })).to.deep.equal({
          errors: [],
          data: { id, text: 'hi', room: 1, user: 1 },
          action,
          response_status: action === 'create' ? 201 : 200,
          request_id: 1,
        });
        const written = { id, room_id: 1, text: 'hi', user_id: 1 };
        expect(await stored()).to.deep.equal(action === 'create' ? [first, written] : [written]);
        expect(served.logger.at('debug').map(({ fields }) => fields)).to.deep.equal([
          { action, serializer: 'MessageSerializer', dropped: [key] },
        ]);
      });
    }

    for (const [key, value, errors] of refused) {
      it(`of ${JSON.stringify(value)} as ${key} by ${action} is refused`, async () => {
        await using ann = await served.open('/messages/', 1);
        const data = { text: 'hi', room: 1, [key]: value };
        expect(await ask(ann, { action, request_id: 1, ...pk, data })).to.deep.equal({
          errors,
          data: null,
          action,
          response_status: 400,
          request_id: 1,
          code: 'validation_failed',
        });
        expect(await stored()).to.deep.equal([first]);
      });
    }

    for (const hostile of ['"__proto__":{"user":2}', '"constructor":{"prototype":{"user":2}}']) {
      it(`of ${hostile} by ${action} is no frame`, async () => {
        await using ann = await served.open('/messages/', 1);
        const frame = { action, request_id: 1, ...pk, data: {} };
        const text = JSON.stringify(frame).replace('"data":{}', `"data":{"text":"hi","room":1,${hostile}}`);
        expect(await ask(ann, text)).to.include({ response_status: 400, code: 'parse_error', data: null });
        expect(await stored()).to.deep.equal([first]);
      });
    }
  }
});
