import { expect } from 'chai';
import { Expose, Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Length, Min, ValidateNested } from 'class-validator';
import {
  Action,
  ActionContext,
  type ActionDescription,
  ApiConsumer,
  type ApplicationDescription,
  all,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  demultiplexer,
  Groups,
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
  not,
  ObserveInstance,
  Observer,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
  RevokedBy,
  type Rights,
  Signal,
  type SignalEvent,
  type StreamDescription,
  type Subscription,
  withOptions,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { z } from 'zod';
import { entities, Message, Room, User } from '../support/entities.js';
import { offlineOrm } from '../support/offline-orm.js';
import { RoomMessageSerializer } from '../support/rooms.js';

@injectable()
class IsBanned implements Permission {
  hasPermission(): boolean {
    return false;
  }
}

@injectable()
class HasRole implements Permission<{ role: string }> {
  hasPermission(_context: ActionContext, { role }: { role: string }): boolean {
    return role === 'writer';
  }
}

@injectable()
class UserSerializer extends ModelSerializer(User, {
  fields: ['id', 'username', 'password'],
  writeOnly: ['password'],
}) {}

@injectable()
class StaffRights implements Rights<'staff'> {
  rightsOf(): 'staff' {
    return 'staff';
  }
}

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'archived', 'host', 'members'],
  nested: { host: UserSerializer },
  readOnly: ['archived'],
  computed: ['size'],
  rights: { by: StaffRights, fields: { members: 'staff' } },
}) {
  size(room: Room): number {
    return room.members.length;
  }
}

class RoomKey {
  @IsInt() @Min(1) room!: number;
}

class Line {
  @IsString() text!: string;
  @IsOptional() @ValidateNested() @Type(() => Line) others?: Line[];
}

class Note {
  @Length(1, 500) text!: string;
  @IsIn(['low', 'high']) level: string = 'low';
  @IsOptional() @IsInt() limit?: number;
  @ValidateNested() line!: Line;
  @IsString({ each: true }) tags!: string[];
}

class Receipt {
  @Expose() id!: number;
  @Expose() at!: Date;
}

interface Tree {
  name: string;
  inner: Tree[];
}

const tree: z.ZodType<Tree> = z.lazy(() => z.object({ name: z.string(), inner: z.array(tree) }));

const shouted = new Signal<{ text: string }>();

@Consumer()
@Groups('lobby')
@Permissions(all(IsAuthenticated, not(IsBanned)))
class RoomConsumer extends mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    paginator: LimitOffsetPaginator,
    filters: { fields: ['archived'], ordering: ['name'], search: ['name'] },
  }),
  List,
  Retrieve,
  Create,
  Patch,
  Delete,
  ObserveInstance,
) {
  @Action({ reply: Receipt, strict: true, timeLimit: 500, permissions: [withOptions(HasRole, { role: 'writer' })] })
  async note(_note: Note): Promise<Receipt> {
    return { id: 1, at: new Date(0) };
  }

  @DetailAction({ name: 'put_away' })
  archive(room: Room) {
    room.archived = true;
    return room;
  }

  @Action({ detached: true })
  async *export(_key: RoomKey, _context: ActionContext) {
    yield 1;
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message, { serializer: RoomMessageSerializer, latest: true })
  async onMessage(event: ModelEvent<RoomMessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onMessage') protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }
  @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
  @RevokedBy('onMessage', () => User) protected *roomsOfUser(_user: User) {}
}

@Consumer()
class ShoutConsumer extends ApiConsumer {
  @Action({ kwargs: z.object({ text: z.string().max(10), loud: z.boolean().optional() }) })
  async shout({ text }: { text: string; loud?: boolean | undefined }) {
    return text;
  }

  @Action({ kwargs: z.object({ tree }) })
  async grow(_kwargs: { tree: Tree }) {}

  @Observer(shouted)
  async onShout(event: SignalEvent<{ text: string }>, subscription: Subscription) {
    await subscription.send(event);
  }
}

describe('The description of an application', () => {
  let description: ApplicationDescription;
  let rooms: StreamDescription;

  before(async () => {
    const app = createApp({
      orm: await offlineOrm(entities),
      routes: [
        path('/ws/chat/:tenant(int)/', demultiplexer({ rooms: RoomConsumer })),
        path('/ws/shouts/', ShoutConsumer, { query: z.object({ lang: z.string() }) }),
      ],
    });
    description = app.describe();
    rooms = streamOf(description, '/ws/chat/:tenant(int)/');
    await app.close();
  });

  const action = (name: string): ActionDescription | undefined => rooms.actions.find((one) => one.name === name);

  it('is JSON, and the same each time', async () => {
    expect(JSON.parse(JSON.stringify(description))).to.deep.equal(description);
  });

  it('lists routes with their parameters, checks and streams', () => {
    const [chat, shouts] = description.routes;
    expect(chat).to.deep.include({
      path: '/ws/chat/:tenant(int)/',
      parameters: [{ name: 'tenant', kind: 'int' }],
      checks: {},
      middleware: [],
      isMultiplexed: true,
    });
    expect(shouts).to.deep.include({
      path: '/ws/shouts/',
      parameters: [],
      checks: {
        query: {
          type: 'object',
          properties: { lang: { type: 'string' } },
          required: ['lang'],
        },
      },
      isMultiplexed: false,
    });
    expect(shouts?.streams.map(({ stream }) => stream)).to.deep.equal([null]);
    expect(rooms).to.deep.include({
      stream: 'rooms',
      consumer: 'RoomConsumer',
      model: 'Room',
      serializer: 'RoomSerializer',
      paginator: 'LimitOffsetPaginator',
      groups: ['lobby'],
      messages: [],
      takesBinary: false,
      subprotocols: [],
    });
  });

  it('lists actions by the names that clients call, with the others that they answer to', () => {
    expect(rooms.actions.map(({ name }) => name)).to.deep.equal([
      'list',
      'retrieve',
      'create',
      'patch',
      'delete',
      'subscribe_instance',
      'unsubscribe_instance',
      'note',
      'put_away',
      'export',
      'subscribe_to_room',
    ]);
    expect(action('put_away')).to.deep.include({ aliases: ['archive'], member: 'archive', isDetail: true });
  });

  it('says how an action runs', () => {
    expect(action('note')).to.deep.include({
      status: 200,
      isAtomic: false,
      isDetached: false,
      isStrict: true,
      timeLimit: 500,
      sendsParts: false,
    });
    expect(action('put_away')).to.deep.include({ isAtomic: true, timeLimit: 15_000 });
    expect(action('export')).to.deep.include({ isDetached: true, sendsParts: true, timeLimit: 3_600_000 });
    expect(action('create')).to.deep.include({ status: 201, isAtomic: true });
  });

  it('says which actions write and which read, and of others nothing', async () => {
    expect(action('create')?.effect).to.equal('writes');
    expect(action('put_away')?.effect).to.equal('writes');
    expect(action('unsubscribe_instance')?.effect).to.equal('reads');
    expect(action('subscribe_to_room')?.effect).to.equal('reads');

    @Consumer()
    class Effects extends ApiConsumer {
      declare readonly em: { flush(): Promise<void>; find(): Promise<void> };
      declare readonly mail: { send(): Promise<void> };
      @Action() async flushes() {
        await this.em.flush();
      }
      @Action() async finds() {
        await this.em.find();
      }
      @Action() async hands() {
        await this.mail.send();
      }
    }
    const app = createApp({ orm: await offlineOrm(), routes: [path('/', Effects)] });
    const { actions } = streamOf(app.describe(), '/');
    await app.close();
    expect(actions.map(({ name, effect }) => [name, effect])).to.deep.equal([
      ['flushes', 'writes'],
      ['finds', 'reads'],
      ['hands', null],
    ]);
  });

  it('says the kwargs of a class by its rules', () => {
    expect(action('note')?.kwargs).to.deep.equal({
      type: 'object',
      properties: {
        text: { type: 'string', minLength: 1, maxLength: 500 },
        level: { type: 'string', enum: ['low', 'high'], default: 'low' },
        limit: { type: 'integer' },
        line: { $ref: '#/schemas/Line' },
        tags: { type: 'array', items: { type: 'string' } },
      },
      required: ['text', 'line', 'tags'],
    });
    expect(description.schemas['Line']).to.deep.equal({
      type: 'object',
      properties: { text: { type: 'string' }, others: { type: 'array', items: { $ref: '#/schemas/Line' } } },
      required: ['text'],
    });
  });

  it('says the kwargs of a Standard Schema, and takes in its definitions', () => {
    const [shout, grow] = streamOf(description, '/ws/shouts/').actions;
    expect(shout?.kwargs).to.deep.equal({
      type: 'object',
      properties: { text: { type: 'string', maxLength: 10 }, loud: { type: 'boolean' } },
      required: ['text'],
    });
    expect(grow?.kwargs).to.deep.equal({
      type: 'object',
      properties: { tree: { $ref: '#/schemas/ShoutConsumer.grow.__schema0' } },
      required: ['tree'],
    });
    expect(description.schemas['ShoutConsumer.grow.__schema0']).to.deep.include({
      properties: {
        name: { type: 'string' },
        inner: { type: 'array', items: { $ref: '#/schemas/ShoutConsumer.grow.__schema0' } },
      },
    });
  });

  it('says the kwargs of the mixins by the model, its filters and its paginator', () => {
    expect(action('retrieve')?.kwargs).to.deep.equal({
      type: 'object',
      properties: { pk: { type: 'integer', format: 'int32' } },
      required: ['pk'],
    });
    expect(action('patch')?.kwargs).to.deep.equal({
      type: 'object',
      properties: {
        pk: { type: 'integer', format: 'int32' },
        data: { $ref: '#/schemas/RoomSerializerPatch' },
      },
      required: ['pk', 'data'],
    });
    expect(action('list')?.kwargs).to.deep.equal({
      type: 'object',
      properties: {
        limit: { type: 'integer', minimum: 1 },
        offset: { type: 'integer', minimum: 0 },
        filter: {
          type: 'object',
          properties: {
            archived: {
              anyOf: [
                { type: 'boolean' },
                { type: 'array', items: { type: 'boolean' } },
                {
                  type: 'object',
                  properties: { exact: { type: 'boolean' }, in: { type: 'array', items: { type: 'boolean' } } },
                },
              ],
            },
          },
        },
        ordering: {
          anyOf: [{ enum: ['name', '-name'] }, { type: 'array', items: { enum: ['name', '-name'] } }],
        },
        search: { type: 'string', maxLength: 200 },
      },
    });
  });

  it('says what serializers accept and show', () => {
    expect(description.schemas['RoomSerializerInput']).to.deep.equal({
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 255 },
        members: { type: 'array', items: { type: 'integer', format: 'int32' } },
      },
      required: ['name'],
    });
    expect(description.schemas['RoomSerializer']).to.deep.equal({
      type: 'object',
      properties: {
        id: { type: 'integer' },
        name: { type: 'string' },
        archived: { type: 'boolean' },
        host: { anyOf: [{ $ref: '#/schemas/UserSerializer' }, { type: 'null' }] },
        members: { type: 'array', items: { type: 'integer' } },
        size: {},
      },
      required: ['id', 'name', 'archived', 'host', 'size'],
    });
    expect(description.schemas['UserSerializer']).to.deep.equal({
      type: 'object',
      properties: { id: { type: 'integer' }, username: { type: 'string' } },
      required: ['id', 'username'],
    });
  });

  it('says what is known of replies', () => {
    expect(action('retrieve')?.reply).to.deep.equal({ $ref: '#/schemas/RoomSerializer' });
    expect(action('delete')?.reply).to.deep.equal({ type: 'null' });
    expect(action('list')?.reply).to.deep.include({ required: ['count', 'results', 'limit', 'offset'] });
    const receipt = { $ref: '#/schemas/Receipt' };
    expect(action('note')?.reply).to.deep.equal({ anyOf: [receipt, { type: 'array', items: receipt }] });
    expect(description.schemas['Receipt']).to.deep.equal({
      type: 'object',
      properties: { id: { type: 'number' }, at: { type: 'string', format: 'date-time' } },
    });
    expect(action('put_away')?.reply).to.equal(null);
  });

  it('gives permissions as data', () => {
    const asked = ['canConnect', 'hasPermission'];
    expect(rooms.permissions).to.deep.equal({
      text: 'all(IsAuthenticated, not(IsBanned))',
      expression: {
        kind: 'all',
        operands: [
          { kind: 'permission', name: 'IsAuthenticated', asks: asked },
          { kind: 'not', operand: { kind: 'permission', name: 'IsBanned', asks: ['hasPermission'] } },
        ],
      },
    });
    expect(action('note')?.permissions.text).to.equal(
      'all(IsAuthenticated, not(IsBanned), withOptions(HasRole, {"role":"writer"}))',
    );
  });

  it('lists observers with their groups, what revokes them and the actions that subscribe', () => {
    expect(rooms.observers).to.deep.equal([
      {
        member: 'onInstance',
        model: 'Room',
        signal: null,
        serializer: 'RoomSerializer',
        actions: ['create', 'update', 'delete'],
        data: { $ref: '#/schemas/RoomSerializer' },
        deleted: { type: 'object', properties: { pk: { type: 'integer' } }, required: ['pk'] },
        groups: { ofRow: 'groupsOfInstance', ofConsumer: 'groupsOfKey' },
        revokedBy: [],
        subscribedBy: ['subscribe_instance'],
        isLatest: false,
      },
      {
        member: 'onMessage',
        model: 'Message',
        signal: null,
        serializer: 'RoomMessageSerializer',
        actions: ['create', 'update', 'delete'],
        data: { $ref: '#/schemas/RoomMessageSerializer' },
        deleted: { type: 'object', properties: { pk: { type: 'integer' } }, required: ['pk'] },
        groups: { ofRow: 'groupsOfMessage', ofConsumer: 'groupsOfRoom' },
        revokedBy: ['User'],
        subscribedBy: ['subscribe_to_room'],
        isLatest: true,
      },
    ]);
    expect(action('subscribe_to_room')?.subscribesTo).to.deep.equal(['onMessage']);
    const [onShout] = streamOf(description, '/ws/shouts/').observers;
    expect(onShout).to.deep.include({
      model: null,
      signal: 'on_shout',
      actions: ['on_shout'],
      data: null,
      groups: null,
    });
  });

  it('lists serializers with their fields', () => {
    expect(description.serializers.map(({ name, entity }) => `${name} of ${entity}`)).to.deep.equal([
      'RoomSerializer of Room',
      'UserSerializer of User',
      'RoomMessageSerializer of Message',
    ]);
    const fields = description.serializers[0]?.fields ?? [];
    const never = { isAccepted: false, isRequired: false, isNullable: false, nested: null, rights: null };
    expect(fields.find(({ name }) => name === 'host')).to.deep.equal({
      name: 'host',
      kind: 'one',
      ...never,
      isShown: true,
      isNullable: true,
      nested: 'UserSerializer',
    });
    expect(fields.find(({ name }) => name === 'members')).to.deep.include({
      kind: 'many',
      isAccepted: true,
      rights: { by: 'StaffRights', names: ['staff'] },
    });
    expect(fields.find(({ name }) => name === 'size')).to.deep.equal({
      name: 'size',
      kind: 'computed',
      ...never,
      isShown: true,
    });
  });
});

function streamOf({ routes }: ApplicationDescription, at: string): StreamDescription {
  const stream = routes.find((route) => route.path === at)?.streams[0];
  if (!stream) throw new Error(`There is no stream at ${at}.`);
  return stream;
}
