import { expect } from 'chai';
import { IsInt, IsOptional } from 'class-validator';
import { Action, Consumer, CursorPaginator, demultiplexer, List, ModelConsumer, mix, path, Retrieve } from 'signalbox';
import { z } from 'zod';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { RoomSerializer } from '../support/rooms.js';
import type { Frame } from '../support/sockets.js';
import { ask, Served } from './served.js';

class Numbered {
  @IsOptional() @IsInt() count?: number;
}

const schema = z.object({ count: z.number().optional() });

const filters = { fields: ['archived'], ordering: ['name'], search: ['name'] } as const;

@Consumer()
class Rooms extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, filters, paginator: CursorPaginator }),
  List,
  Retrieve,
) {
  @Action() byClass(kwargs: Numbered) {
    return { ...kwargs };
  }

  @Action({ strict: true }) byClassStrictly(kwargs: Numbered) {
    return { ...kwargs };
  }

  @Action({ kwargs: schema }) bySchema(kwargs: z.infer<typeof schema>) {
    return { ...kwargs };
  }

  @Action({ kwargs: schema, strict: true }) bySchemaStrictly(kwargs: z.infer<typeof schema>) {
    return { ...kwargs };
  }
}

@Consumer()
class NamedRooms extends mix(ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'name' }), Retrieve) {}

/** What every object has, or what makes an object something else. */
const names = [
  'constructor',
  'toString',
  'toLocaleString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  '__defineGetter__',
  '__lookupSetter__',
  'prototype',
  'then',
  'toJSON',
  'length',
  'name',
  'getObject',
  'onConnect',
  'scope',
  'em',
];

const refusal = (action: string, status: number, code: string, errors: unknown[]) => ({
  errors,
  data: null,
  action,
  response_status: status,
  request_id: 1,
  code,
});

describe('A name that every object has', () => {
  const database = useDatabase('security_prototypes');
  let served: Served;

  before(async () => {
    served = await Served.by(database.orm, [
      path('/rooms/', Rooms),
      path('/named/', NamedRooms),
      path('/many/', demultiplexer({ rooms: Rooms })),
    ]);
  });
  after(() => served[Symbol.asyncDispose]());
  beforeEach(() => database.orm.em.fork().execute(`insert into room (name, archived) values ('red', false)`));
  afterEach(() => {
    expect(Object.keys(Object.prototype)).to.deep.equal([]);
    expect(Reflect.get({}, 'admin')).to.equal(undefined);
  });

  for (const name of [...names, '__proto__']) {
    it(`is no action and no stream: ${name}`, async () => {
      await using ann = await served.open('/rooms/');
      const told = refusal(name, 405, 'action_not_found', [`Method "${name}" not allowed.`]);
      expect(await ask(ann, { action: name, request_id: 1 })).to.deep.equal(told);
      await using bob = await served.open('/many/');
      const payload = { action: 'list', request_id: 1 };
      expect(await ask(bob, { stream: name, payload })).to.deep.equal({
        stream: name,
        payload: refusal('list', 404, 'stream_not_found', [`No stream "${name}". There are: rooms.`]),
      });
      expect(await ask(bob, { stream: 'rooms', payload })).to.have.nested.property('payload.response_status', 200);
    });

    it(`is a value like any other of keys, orders, searches and cursors: ${name}`, async () => {
      await using ann = await served.open('/rooms/');
      const absent = refusal('retrieve', 404, 'not_found', ['Not found.']);
      expect(await ask(ann, { action: 'retrieve', request_id: 1, pk: name })).to.deep.equal(absent);
      const known = name === 'name' ? [] : [name, `-${name}`, [name]];
      for (const ordering of known) {
        const shown = JSON.stringify([ordering].flat()[0]);
        expect(await ask(ann, { action: 'list', request_id: 1, ordering })).to.deep.equal(
          refusal('list', 400, 'validation_failed', [
            { ordering: [`${shown} is not known here. Known names are name.`] },
          ]),
        );
      }
      const found = await ask(ann, { action: 'list', request_id: 1, search: name });
      expect(found).to.deep.include({
        data: { results: [], limit: 25, next: null, previous: null },
        response_status: 200,
      });
      expect(await ask(ann, { action: 'list', request_id: 1, cursor: name })).to.include({ response_status: 400 });
      await using bob = await served.open('/named/');
      expect(await ask(bob, { action: 'retrieve', request_id: 1, name })).to.deep.equal(absent);
    });
  }

  for (const name of names) {
    it(`is no kwarg, no filter and no part of a key: ${name}`, async () => {
      await using ann = await served.open('/rooms/');
      const hostile = { [name]: { admin: true } };
      for (const action of ['by_class', 'by_schema'])
        expect(await ask(ann, { action, request_id: 1, ...hostile })).to.deep.include({
          data: {},
          response_status: 200,
        });
      for (const action of ['by_class_strictly', 'by_schema_strictly'])
        expect(await ask(ann, { action, request_id: 1, ...hostile })).to.deep.equal(
          refusal(action, 400, 'validation_failed', [{ [name]: ['This field is not known.'] }]),
        );
      const unknown = `"${name}" is not known here. Known names are archived.`;
      const noOperator = `"${name}" is not known here. Known names are exact, in.`;
      expect(await ask(ann, { action: 'list', request_id: 1, filter: hostile })).to.deep.equal(
        refusal('list', 400, 'validation_failed', [{ [`filter.${name}`]: [unknown] }]),
      );
      expect(await ask(ann, { action: 'list', request_id: 1, filter: { archived: hostile } })).to.deep.equal(
        refusal('list', 400, 'validation_failed', [{ [`filter.archived.${name}`]: [noOperator] }]),
      );
      expect(await ask(ann, { action: 'retrieve', request_id: 1, pk: hostile })).to.deep.equal(
        refusal('retrieve', 404, 'not_found', ['Not found.']),
      );
    });
  }

  /** Where a key may stand. */
  const frames = [
    '{"__proto__":{"admin":true},"action":"by_class","request_id":1}',
    '{"action":"by_class","request_id":1,"a":{"b":[{"__proto__":{"admin":true}}]}}',
    '{"action":"list","request_id":1,"filter":{"__proto__":{"archived":true}}}',
    '{"action":"retrieve","request_id":1,"pk":{"__proto__":{"id":1}}}',
    '{"action":"by_class","request_id":1,"\\u005f_proto__":{"admin":true}}',
    '{"action":"by_class","request_id":1,"constructor":{"prototype":{"admin":true}}}',
  ];
  for (const frame of frames) {
    it(`makes no frame as a key: ${frame}`, async () => {
      await using ann = await served.open('/rooms/');
      const reply: Frame = await ask(ann, frame);
      expect(reply).to.include({ response_status: 400, code: 'parse_error', data: null });
      expect(await ask(ann, { action: 'by_class', request_id: 1 })).to.include({ response_status: 200 });
    });
  }
});
