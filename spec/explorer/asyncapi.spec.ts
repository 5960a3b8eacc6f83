import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { expect } from 'chai';
import { IsOptional, IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Permissions,
  path,
  Retrieve,
  type Subscription,
} from 'signalbox';
import { type AsyncApiDocument, toAsyncApi } from 'signalbox/explorer';
import { injectable } from 'tsyringe';
import { z } from 'zod';
import { entities, Message, Room } from '../support/entities.js';
import { offlineOrm } from '../support/offline-orm.js';
import { RoomKey, RoomMessageSerializer } from '../support/rooms.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'host'] }) {}

class Words {
  @IsString() text!: string;
  @IsOptional() @IsString() lang?: string;
}

@Consumer()
@Permissions(IsAuthenticated)
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, paginator: LimitOffsetPaginator }),
  List,
  Retrieve,
  Create,
  Delete,
  ObserveInstance,
) {
  @Action({ detached: true })
  async *export(_key: RoomKey, _context: ActionContext) {
    yield 1;
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message, { serializer: RoomMessageSerializer })
  async onMessage(event: ModelEvent<RoomMessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onMessage') protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }
  @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

@Consumer()
class EchoConsumer extends ApiConsumer {
  @Action({ name: 'say', strict: true })
  async echo({ text }: Words) {
    return text;
  }
}

describe('The AsyncAPI document', () => {
  let app: App;
  let document: AsyncApiDocument;

  before(async () => {
    app = createApp({
      orm: await offlineOrm(entities),
      routes: [
        path('/ws/chat/:tenant(int)/', demultiplexer({ rooms: RoomConsumer, 'live-echo': EchoConsumer })),
        path('/ws/echo/', EchoConsumer, { query: z.object({ lang: z.string().optional() }) }),
      ],
    });
    document = toAsyncApi(app.describe(), { title: 'Chat', version: '1.2.0' }, 'https://example.org');
  });
  after(() => app.close());

  /** What a JSON pointer leads to: RFC 6901. */
  const found = (pointer: string): unknown =>
    pointer
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>((at, part) => Reflect.get(Object(at), part), document);
  const operation = (name: string) => document.operations[name];
  const message = (channel: string, name: string) => document.channels[channel]?.messages[name];

  it('is valid by the schema of AsyncAPI 3.0.0', () => {
    const ajv = new Ajv({ strict: false, allErrors: true, logger: false, meta: false, validateSchema: false });
    addFormats.default(ajv);
    const isValid = ajv.compile(createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json') as object);
    isValid(document);
    expect(isValid.errors ?? []).to.deep.equal([]);
  });

  it('refers to what is there', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, pointer = '']) => pointer,
    );
    expect(references).to.have.length.above(20);
    expect(references.filter((pointer) => found(pointer) === undefined)).to.deep.equal([]);
  });

  it('has a channel for each path, with its parameters and the query that it checks', () => {
    expect(document.servers).to.deep.equal({ server: { host: 'example.org', protocol: 'wss' } });
    expect(Object.keys(document.channels)).to.deep.equal(['ws_chat_tenant', 'ws_echo']);
    expect(document.channels['ws_chat_tenant']).to.deep.include({
      address: '/ws/chat/{tenant}/',
      title: '/ws/chat/:tenant(int)/',
      parameters: { tenant: { description: 'A whole number.' } },
    });
    expect(document.channels['ws_echo']?.bindings).to.deep.equal({
      ws: { query: { type: 'object', properties: { lang: { type: 'string' } } }, bindingVersion: '0.1.0' },
    });
  });

  it('has an operation for each action, observer and frame of the framework', () => {
    expect(Object.keys(document.operations)).to.deep.equal([
      'ws_chat_tenant.rooms.list',
      'ws_chat_tenant.rooms.retrieve',
      'ws_chat_tenant.rooms.create',
      'ws_chat_tenant.rooms.delete',
      'ws_chat_tenant.rooms.subscribe_instance',
      'ws_chat_tenant.rooms.unsubscribe_instance',
      'ws_chat_tenant.rooms.export',
      'ws_chat_tenant.rooms.subscribe_to_room',
      'ws_chat_tenant.rooms.onInstance',
      'ws_chat_tenant.rooms.onMessage',
      'ws_chat_tenant.live-echo.say',
      'ws_chat_tenant.cancel',
      'ws_chat_tenant.unsubscribe',
      'ws_chat_tenant.ping',
      'ws_echo.say',
      'ws_echo.cancel',
      'ws_echo.unsubscribe',
      'ws_echo.ping',
    ]);
  });

  it('describes the frames of an action as they travel in their stream', () => {
    expect(operation('ws_chat_tenant.rooms.retrieve')).to.deep.equal({
      action: 'receive',
      channel: { $ref: '#/channels/ws_chat_tenant' },
      title: 'rooms.retrieve',
      summary: 'Calls RoomConsumer.retrieve.',
      messages: [{ $ref: '#/channels/ws_chat_tenant/messages/rooms.retrieve.request' }],
      reply: {
        channel: { $ref: '#/channels/ws_chat_tenant' },
        messages: [
          { $ref: '#/channels/ws_chat_tenant/messages/rooms.retrieve.reply' },
          { $ref: '#/channels/ws_chat_tenant/messages/error' },
        ],
      },
      'x-permissions': 'IsAuthenticated',
      'x-atomic': false,
      'x-detached': false,
      'x-time-limit': 15_000,
    });
    expect(message('ws_chat_tenant', 'rooms.retrieve.request')).to.deep.equal({
      name: 'rooms.retrieve.request',
      title: 'retrieve of RoomConsumer',
      payload: {
        type: 'object',
        properties: {
          stream: { const: 'rooms' },
          payload: {
            type: 'object',
            properties: {
              action: { const: 'retrieve' },
              request_id: { type: ['string', 'number', 'null'] },
              pk: { type: 'integer', format: 'int32' },
            },
            required: ['action', 'pk'],
          },
        },
        required: ['stream', 'payload'],
      },
      correlationId: { location: '$message.payload#/payload/request_id' },
    });
    expect(message('ws_chat_tenant', 'rooms.retrieve.reply')?.payload.properties?.['payload']).to.deep.equal({
      type: 'object',
      properties: {
        errors: { type: 'array', maxItems: 0 },
        data: { $ref: '#/components/schemas/RoomSerializer' },
        action: { const: 'retrieve' },
        response_status: { const: 200 },
        request_id: { type: ['string', 'number', 'null'] },
      },
      required: ['errors', 'data', 'action', 'response_status', 'request_id'],
    });
  });

  it('describes frames as they are where a path has one consumer', () => {
    expect(message('ws_echo', 'say.request')).to.deep.equal({
      name: 'say.request',
      title: 'say of EchoConsumer',
      payload: {
        type: 'object',
        properties: {
          action: { const: 'say' },
          request_id: { type: ['string', 'number', 'null'] },
          text: { type: 'string' },
          lang: { type: 'string' },
        },
        required: ['action', 'text'],
        additionalProperties: false,
      },
      correlationId: { location: '$message.payload#/request_id' },
    });
    expect(operation('ws_echo.say')?.['x-aliases']).to.deep.equal(['echo']);
  });

  it('says that a generator sends parts, and that a subscription needs a request id', () => {
    expect(operation('ws_chat_tenant.rooms.export')?.reply?.messages.map(({ $ref }) => $ref)).to.include(
      '#/channels/ws_chat_tenant/messages/rooms.export.part',
    );
    const request = message('ws_chat_tenant', 'rooms.subscribe_to_room.request')?.payload.properties?.['payload'];
    expect(request?.required).to.deep.equal(['action', 'request_id', 'room']);
    expect(operation('ws_chat_tenant.rooms.subscribe_to_room')?.['x-subscribes-to']).to.deep.equal(['onMessage']);
  });

  it('describes the events of an observer', () => {
    expect(operation('ws_chat_tenant.rooms.onMessage')).to.deep.include({
      action: 'send',
      'x-subscribed-by': ['subscribe_to_room'],
      messages: ['create', 'update', 'delete'].map((action) => ({
        $ref: `#/channels/ws_chat_tenant/messages/rooms.onMessage.${action}`,
      })),
    });
    const created = message('ws_chat_tenant', 'rooms.onMessage.create')?.payload.properties?.['payload'];
    expect(created?.properties?.['data']).to.deep.equal({ $ref: '#/components/schemas/RoomMessageSerializer' });
    const deleted = message('ws_chat_tenant', 'rooms.onMessage.delete')?.payload.properties?.['payload'];
    expect(deleted?.properties).to.deep.include({
      response_status: { const: 204 },
      data: { type: 'object', properties: { pk: { type: 'integer' } }, required: ['pk'] },
    });
  });
});
