import { expect } from 'chai';
import { Type } from 'class-transformer';
import { Allow, IsInt, IsOptional, IsString, ValidateNested } from 'class-validator';
import {
  Action,
  type App,
  Consumer,
  Create,
  Delete,
  DetailAction,
  demultiplexer,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  Update,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { z } from 'zod';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { useServer } from '../support/serving.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'host', 'members', 'archived'] }) {}

class Line {
  @IsInt() amount!: number;
}

class Anything {
  @IsInt() room!: number;
  @IsOptional() @IsString({ each: true }) tags?: string[];
  @IsOptional() @ValidateNested({ each: true }) @Type(() => Line) lines?: Line[];
  @IsOptional() @Type(() => Number) @IsInt() count?: number;
  @Allow() note?: unknown;
}

const schema = z.object({ room: z.number(), lines: z.array(z.object({ amount: z.number() })).optional() });

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  @Action() byClass(kwargs: Anything) {
    return { ...kwargs };
  }

  @Action({ strict: true }) byClassStrictly(kwargs: Anything) {
    return { ...kwargs };
  }

  @Action({ kwargs: schema }) bySchema(kwargs: z.infer<typeof schema>) {
    return kwargs;
  }

  @DetailAction() rename(room: Room, { lines }: Anything) {
    return { id: room.id, lines };
  }
}

const long = 10_000;

/** JSON texts that a client may put where any value stands. */
const values = [
  'null',
  'true',
  '0',
  '-0',
  '1',
  '-1',
  '1.5',
  '1e400',
  '-1e400',
  '12345678901234567890',
  '2147483648',
  '""',
  '"text"',
  '"1"',
  '"\\u0000"',
  '"\\ud800"',
  `"${'x'.repeat(long)}"`,
  '[]',
  '[null]',
  '[[]]',
  '[{}]',
  '[[{"amount": 1}]]',
  '[{"amount": "1"}]',
  '{}',
  '{"0": 1}',
  '{"": 1}',
  '{"length": 5}',
  '{"then": 1}',
  '{"toJSON": 1}',
  '{"toString": 1, "valueOf": 1}',
  '{"hasOwnProperty": null}',
  '{"constructor": null}',
  '{"constructor": 1}',
  '{"constructor": {"prototype": {"admin": true}}}',
  '[{"constructor": {"name": "Room"}}]',
  '{"__proto__": {"admin": true}}',
  '{"__proto__": null}',
  '{"\\u005f_proto__": {"admin": true}}',
  '{"$or": [{"id": 1}]}',
  '{"name": {"$ne": null}}',
  '{"id": {"$raw": "1"}}',
  `${'['.repeat(long)}${']'.repeat(long)}`,
  `${'{"a":'.repeat(long / 2)}1${'}'.repeat(long / 2)}`,
  `${'['.repeat(95)}${']'.repeat(95)}`,
];

const frames = [
  (value: string) => value,
  (value: string) => `{"action": ${value}, "request_id": 1}`,
  (value: string) => `{"action": "list", "request_id": ${value}}`,
  (value: string) => `{"action": "unknown", "request_id": 1, "x": ${value}}`,
  (value: string) => `{"action": "cancel", "request_id": 1, "target": ${value}}`,
  (value: string) => `{"__proto__": ${value}, "action": "list", "request_id": 1}`,
  (value: string) => `{"constructor": ${value}, "action": "list", "request_id": 1}`,
  ...['room', 'tags', 'lines', 'count', 'note', 'constructor', 'toString', '__proto__', '', 'pk'].flatMap((field) =>
    ['by_class', 'by_class_strictly', 'by_schema', 'rename'].map(
      (action) => (value: string) =>
        `{"action": "${action}", "request_id": 1, "pk": 1, "room": 1, ${JSON.stringify(field)}: ${value}}`,
    ),
  ),
  ...['retrieve', 'update', 'patch', 'delete', 'subscribe_instance', 'unsubscribe_instance'].map(
    (action) => (value: string) => `{"action": "${action}", "request_id": 1, "pk": ${value}, "data": {}}`,
  ),
  ...['create', 'update', 'patch'].flatMap((action) => [
    (value: string) => `{"action": "${action}", "request_id": 1, "pk": 7, "data": ${value}}`,
    ...['id', 'name', 'host', 'members', 'archived', 'constructor', '__proto__', 'toString'].map(
      (field) => (value: string) => `{"action": "${action}", "request_id": 1, "pk": 7, "data": {"${field}": ${value}}}`,
    ),
  ]),
];

describe('Any JSON', () => {
  const database = useDatabase('any_json');
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(async () => {
    const routes = [path('/rooms/', RoomConsumer), path('/streams/', demultiplexer({ rooms: RoomConsumer }))];
    const limits = { messageBurst: 10_000, bytesPerSecond: 100_000_000, errorsPerMinute: 10_000 };
    ({ app, logger } = serve(routes, { orm: database.orm, settings: { limits } }));
    const em = database.orm.em.fork();
    const host = em.create(User, { username: 'ann', password: 'secret' });
    em.create(Room, { id: 1, name: 'one' });
    em.create(Room, { id: 7, name: 'seven', host });
    await em.flush();
  });

  for (const value of values) {
    it(`is answered with one frame, and none of them with a 500: ${value.slice(0, 60)}`, async () => {
      await using client = await connect(app, '/rooms/');
      const before = client.frames.length;
      for (const frame of frames.map((write) => write(value))) {
        client.sendText(frame);
        const reply = await client.receive();
        expect(reply.response_status, frame.slice(0, 200)).to.be.oneOf([200, 201, 204, 400, 404, 405, 409]);
        expect(JSON.stringify(reply)).not.to.include('secret');
      }
      expect(await client.request('unknown')).to.include({ response_status: 405 });
      expect(client.frames).to.have.length(before + frames.length + 1);
      expect(logger.at('error')).to.deep.equal([]);
      expect(Object.prototype).not.to.have.property('admin');
    });
  }

  it('of a demultiplexer is answered with one frame', async () => {
    await using client = await connect(app, '/streams/');
    for (const value of values) {
      for (const frame of [
        value,
        `{"stream": ${value}, "payload": {"action": "list"}}`,
        `{"stream": "rooms", "payload": ${value}}`,
        `{"stream": "rooms", "payload": {"action": "by_class", "room": ${value}}}`,
        `{"payload": ${value}}`,
      ]) {
        const before = client.frames.length;
        client.sendText(frame);
        const answer: object = await client.receive();
        expect(answer, frame.slice(0, 200)).to.have.all.keys('stream', 'payload');
        expect(answer).to.have.nested.property('payload.response_status').that.is.oneOf([200, 400, 404, 405]);
        expect(client.frames).to.have.length(before + 1);
      }
    }
    expect(logger.at('error')).to.deep.equal([]);
  });
});
