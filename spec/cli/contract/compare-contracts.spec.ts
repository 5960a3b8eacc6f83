import { expect } from 'chai';
import type {
  ActionDescription,
  JsonSchema,
  ObserverDescription,
  PermissionDescription,
  StreamDescription,
} from 'signalbox';
import { type AsyncApiDocument, toAsyncApi } from 'signalbox/explorer';
import { compareContracts } from '#signalbox/cli/contract/compare-contracts.js';

const permissions: PermissionDescription = {
  text: 'IsAuthenticated',
  expression: { kind: 'permission', name: 'IsAuthenticated', asks: ['canConnect'] },
};

const create: ActionDescription = {
  name: 'create',
  aliases: [],
  member: 'create',
  isDetail: false,
  kwargs: { type: 'object', properties: {} },
  reply: null,
  status: 201,
  sendsParts: false,
  isAtomic: true,
  effect: 'writes',
  rows: null,
  isDetached: false,
  isStrict: false,
  timeLimit: 15_000,
  permissions,
  subscribesTo: [],
};

const onRoom: ObserverDescription = {
  member: 'onRoom',
  model: 'Room',
  signal: null,
  serializer: 'RoomSerializer',
  actions: ['create', 'update', 'delete'],
  data: null,
  deleted: null,
  groups: null,
  revokedBy: [],
  subscribedBy: [],
  isLatest: false,
};

const rooms: StreamDescription = {
  stream: 'rooms',
  consumer: 'RoomConsumer',
  model: 'Room',
  serializer: 'RoomSerializer',
  paginator: null,
  permissions,
  actions: [create],
  observers: [onRoom],
  groups: [],
  messages: [],
  takesBinary: false,
  subprotocols: [],
};

function documentOf(
  stream: Partial<StreamDescription>,
  { path = '/ws/', schemas = {} }: { path?: string; schemas?: Readonly<Record<string, JsonSchema>> } = {},
): AsyncApiDocument {
  const streams = [{ ...rooms, ...stream }];
  const route = { path, parameters: [], checks: {}, middleware: [], isMultiplexed: true, streams };
  return toAsyncApi({ routes: [route], serializers: [], schemas }, { title: 'Chat', version: '1.0.0' });
}

const withAction = (action: Partial<ActionDescription>): AsyncApiDocument =>
  documentOf({ actions: [{ ...create, ...action }] });

const kwargs = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): AsyncApiDocument =>
  withAction({ kwargs: { type: 'object', properties, required } });

const reply = (data: JsonSchema | null): AsyncApiDocument => withAction({ reply: data });

const object = (properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required,
});

const text: JsonSchema = { type: 'string' };

function lines(before: AsyncApiDocument, after: AsyncApiDocument): readonly string[] {
  return compareContracts(before, after).map(
    ({ isBreaking, subject, text: sentence }) => `${isBreaking ? 'breaking' : 'compatible'} | ${subject} | ${sentence}`,
  );
}

describe('The comparison of two contracts', () => {
  it('finds nothing between a document and itself', () => {
    expect(lines(documentOf({}), documentOf({}))).to.deep.equal([]);
  });

  it('tells which paths, actions and observers are gone, and which are new', () => {
    expect(lines(documentOf({}), documentOf({}, { path: '/live/' }))).to.deep.equal([
      'breaking | /ws/ | the path was removed',
      'compatible | /live/ | the path is new',
    ]);
    expect(lines(documentOf({}), documentOf({ actions: [], observers: [] }))).to.deep.equal([
      'breaking | /ws/ rooms.create | the action was removed',
      'breaking | /ws/ rooms.onRoom | the observer was removed',
    ]);
    expect(lines(documentOf({ actions: [], observers: [] }), documentOf({}))).to.deep.equal([
      'compatible | /ws/ rooms.create | the action is new',
      'compatible | /ws/ rooms.onRoom | the observer is new',
    ]);
    expect(lines(documentOf({}), documentOf({ stream: 'halls' }))).to.include(
      'breaking | /ws/ rooms.create | the action was removed',
    );
  });

  it('knows an action by the name that it still answers to', () => {
    expect(lines(withAction({}), withAction({ name: 'open', aliases: ['create'] }))).to.deep.equal([
      'compatible | /ws/ rooms.create | is called open now, as its replies say, and still answers to create',
    ]);
    expect(lines(withAction({ aliases: ['make'] }), withAction({}))).to.deep.equal([
      'breaking | /ws/ rooms.create | no longer answers to make',
    ]);
  });

  const ofKwargs: readonly [string, AsyncApiDocument, AsyncApiDocument, readonly string[]][] = [
    ['an optional kwarg', kwargs({}), kwargs({ lang: text }), ['compatible `lang` is new and optional']],
    ['a required kwarg', kwargs({}), kwargs({ lang: text }, ['lang']), ['breaking `lang` is new and required']],
    ['a kwarg less', kwargs({ lang: text }), kwargs({}), ['breaking `lang` is not accepted any more']],
    [
      'a kwarg that is required now',
      kwargs({ lang: text }),
      kwargs({ lang: text }, ['lang']),
      ['breaking `lang` is required now, and was optional'],
    ],
    [
      'a kwarg that is optional now',
      kwargs({ lang: text }, ['lang']),
      kwargs({ lang: text }),
      ['compatible `lang` is optional now'],
    ],
    [
      'null no longer',
      kwargs({ lang: { type: ['string', 'null'] } }),
      kwargs({ lang: text }),
      ['breaking `lang` accepts no null any more'],
    ],
    [
      'numbers where integers were',
      kwargs({ size: { type: 'integer' } }),
      kwargs({ size: { type: 'number' } }),
      ['compatible `size` accepts number too'],
    ],
    [
      'one value less, one more',
      kwargs({ kind: { enum: ['a', 'b'] } }),
      kwargs({ kind: { enum: ['b', 'c'] } }),
      ['breaking `kind` accepts no "a" any more', 'compatible `kind` accepts "c" too'],
    ],
    [
      'a shorter text',
      kwargs({ text: { type: 'string', maxLength: 500 } }),
      kwargs({ text: { type: 'string', maxLength: 100 } }),
      ['breaking `text` has maxLength 100, and had 500'],
    ],
    [
      'a longer text',
      kwargs({ text: { type: 'string', maxLength: 100 } }),
      kwargs({ text: { type: 'string' } }),
      ['compatible `text` has maxLength none, and had 100'],
    ],
    [
      'a pattern',
      kwargs({ text }),
      kwargs({ text: { type: 'string', pattern: '^a' } }),
      ['breaking `text` has pattern ^a, and had none'],
    ],
    ['rules where none were known', kwargs({ text: {} }), kwargs({ text }), ['breaking `text` accepts string only']],
    [
      'a required property of an item',
      kwargs({ lines: { type: 'array', items: object({}) } }),
      kwargs({ lines: { type: 'array', items: object({ text }, ['text']) } }),
      ['breaking `lines[].text` is new and required'],
    ],
    [
      'one of several kinds less',
      kwargs({ key: { anyOf: [text, { type: 'integer' }, { type: 'null' }] } }),
      kwargs({ key: { anyOf: [text, { type: 'integer' }] } }),
      ['breaking `key` accepts no null any more'],
    ],
    [
      'a strict action',
      withAction({}),
      withAction({ isStrict: true }),
      ['breaking refuses kwargs that it does not know'],
    ],
    [
      'a subscription, which needs a request id',
      withAction({}),
      withAction({ subscribesTo: ['onRoom'] }),
      ['breaking `request_id` is required now, and was optional', 'breaking `request_id` accepts no null any more'],
    ],
  ];
  for (const [title, before, after, expected] of ofKwargs) {
    it(`of what clients send: ${title}`, () => {
      const found = compareContracts(before, after).map(
        ({ isBreaking, text: sentence }) => `${isBreaking ? 'breaking' : 'compatible'} ${sentence}`,
      );
      expect(found).to.deep.equal(expected);
    });
  }

  const ofReplies: readonly [string, AsyncApiDocument, AsyncApiDocument, readonly string[]][] = [
    [
      'a field more',
      reply(object({ id: text })),
      reply(object({ id: text, name: text })),
      ['compatible `data.name` in the reply is new'],
    ],
    [
      'a field less',
      reply(object({ id: text, name: text })),
      reply(object({ id: text })),
      ['breaking `data.name` in the reply is not there any more'],
    ],
    [
      'a field that may be missing now',
      reply(object({ id: text }, ['id'])),
      reply(object({ id: text })),
      ['breaking `data.id` in the reply may be missing now'],
    ],
    [
      'a field that may be null now',
      reply(object({ id: text })),
      reply(object({ id: { type: ['string', 'null'] } })),
      ['breaking `data.id` in the reply may be null now'],
    ],
    [
      'a field that is never null any more',
      reply(object({ id: { type: ['string', 'null'] } })),
      reply(object({ id: text })),
      ['compatible `data.id` in the reply is never null any more'],
    ],
    [
      'a further value',
      reply({ enum: ['open'] }),
      reply({ enum: ['open', 'shut'] }),
      ['breaking `data` in the reply may be "shut" now'],
    ],
    ['a reply that is described now', reply(null), reply(text), ['compatible `data` in the reply is string']],
    [
      'a reply that is not described any more',
      reply(text),
      reply(null),
      ['breaking `data` in the reply may be anything now'],
    ],
    [
      'another status',
      withAction({ status: 200 }),
      withAction({ status: 201 }),
      ['breaking the reply has status 201, and had 200'],
    ],
    ['parts', withAction({}), withAction({ sendsParts: true }), ['breaking sends parts before its reply now']],
    ['no parts', withAction({ sendsParts: true }), withAction({}), ['breaking a part is not sent any more']],
    [
      'an event without a field',
      documentOf({ observers: [{ ...onRoom, data: object({ id: text, name: text }) }] }),
      documentOf({ observers: [{ ...onRoom, data: object({ id: text }) }] }),
      [
        'breaking `data.name` in the create event is not there any more',
        'breaking `data.name` in the update event is not there any more',
      ],
    ],
  ];
  for (const [title, before, after, expected] of ofReplies) {
    it(`of what clients are sent: ${title}`, () => {
      const found = compareContracts(before, after).map(
        ({ isBreaking, text: sentence }) => `${isBreaking ? 'breaking' : 'compatible'} ${sentence}`,
      );
      expect(found.filter((line) => !line.includes('delete event'))).to.deep.equal(expected);
    });
  }

  it('follows references, also of a schema that contains itself', () => {
    const tree = (properties: Readonly<Record<string, JsonSchema>>): AsyncApiDocument =>
      documentOf(
        { actions: [{ ...create, reply: { $ref: '#/schemas/Tree' } }] },
        { schemas: { Tree: object({ inner: { type: 'array', items: { $ref: '#/schemas/Tree' } }, ...properties }) } },
      );
    expect(lines(tree({ name: text }), tree({}))).to.deep.equal([
      'breaking | /ws/ rooms.create | `data.name` in the reply is not there any more',
    ]);
  });

  it('tells of other permissions and subscriptions', () => {
    const other = { ...permissions, text: 'all(IsAuthenticated, IsMember)' };
    expect(lines(withAction({}), withAction({ permissions: other }))).to.deep.equal([
      'compatible | /ws/ rooms.create | asks all(IsAuthenticated, IsMember) now and asked IsAuthenticated before: check who may still call it',
    ]);
    expect(lines(withAction({ subscribesTo: ['onRoom'] }), withAction({}))).to.include(
      'breaking | /ws/ rooms.create | no longer subscribes to onRoom',
    );
  });
});
