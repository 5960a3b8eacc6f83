import {
  Action,
  type ActionContext,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  Create,
  type DataOf,
  Delete,
  DetailAction,
  type InputOf,
  List,
  type Mixin,
  type MixinTypes,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  type PerformCreate,
  type PerformDelete,
  type PerformUpdate,
  Retrieve,
  Serializer,
  Update,
  type ViewOf,
  type WritingSerializer,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { Membership, Message, Room, Tag, User, UserSerializer } from './entities.js';
import { same, some } from './support.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'opensAt', 'host'],
  readOnly: ['id', 'host'],
  nested: { host: UserSerializer },
}) {}

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text'] }) {}

class RoomName extends Serializer<Room, { name: string }> {
  toData({ name }: Room) {
    return { name };
  }
}

type RoomInput = { name: string; opensAt: string };
type RoomView = { id: number; name: string; opensAt: string; host: { id: number; username: string } };

// Only what is mixed in exists

@Consumer()
class Reading extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve) {}

some<Reading>().list satisfies (context: ActionContext) => Promise<Room[]>;
some<Reading>().retrieve satisfies (room: Room, context: ActionContext) => Promise<Room>;
// @ts-expect-error Create is not mixed in
some<Reading>().create;
// @ts-expect-error Delete is not mixed in
Reading.prototype.delete;
// @ts-expect-error hooks are not public
some<Reading>().getQuery;
same<keyof ConsumerApi<Reading>['actions'], 'list' | 'retrieve'>();
same<keyof ConsumerApi<Reading>['observers'], never>();
// @ts-expect-error nor does a client see more
some<ConsumerApi<Reading>['actions']>().create;

@Consumer()
class Bare extends ModelConsumer(Room, { serializer: RoomSerializer }) {}
same<keyof ConsumerApi<Bare>['actions'], never>();
// @ts-expect-error no mixin, no action
some<Bare>().list;

// All of them, as a client sees them

@Consumer()
class Everything extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {}

type Actions = ConsumerApi<Everything>['actions'];
same<
  keyof Actions,
  'list' | 'retrieve' | 'create' | 'update' | 'patch' | 'delete' | 'subscribeInstance' | 'unsubscribeInstance'
>();
same<Actions['list']['reply'], RoomView[]>();
same<Actions['retrieve']['kwargs'], { pk: number }>();
same<Actions['retrieve']['reply'], RoomView>();
same<Actions['create']['kwargs'], { data: RoomInput }>();
same<Actions['create']['reply'], RoomView>();
same<Actions['update']['kwargs'], { pk: number; data: RoomInput }>();
same<Actions['patch']['kwargs'], { pk: number; data: { name?: string; opensAt?: string } }>();
same<Actions['patch']['reply'], RoomView>();
same<Actions['delete']['kwargs'], { pk: number }>();
same<Actions['delete']['reply'], null>();
same<Actions['subscribeInstance']['kwargs'], { pk: number }>();
same<Actions['unsubscribeInstance']['kwargs'], { pk: number }>();
same<keyof ConsumerApi<Everything>['observers'], 'onInstance'>();
same<
  ConsumerApi<Everything>['observers']['onInstance']['event'],
  | { readonly action: 'create' | 'update'; readonly data: RoomView }
  | { readonly action: 'delete'; readonly data: { pk: number } }
>();
// @ts-expect-error create needs all that is required
({ data: { name: 'red' } }) satisfies Actions['create']['kwargs'];
({ pk: 1, data: { name: 'red' } }) satisfies Actions['patch']['kwargs'];
// @ts-expect-error a patch is still checked
({ pk: 1, data: { name: 4 } }) satisfies Actions['patch']['kwargs'];
// @ts-expect-error the host is nested, and read-only
({ data: { name: 'red', opensAt: '', host: 1 } }) satisfies Actions['create']['kwargs'];
// @ts-expect-error a room's key is a number
({ pk: { id: 1 } }) satisfies Actions['retrieve']['kwargs'];

// Overriding, with super

@Consumer()
class Overriding extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, Create, Patch) {
  override async create(kwargs: { data: InputOf<RoomSerializer> }, context: ActionContext) {
    const room = await super.create({ data: { ...kwargs.data, name: kwargs.data.name.trim() } }, context);
    same<typeof room, Room>();
    return room;
  }
  override retrieve(room: Room, context: ActionContext) {
    return super.retrieve(room, context);
  }
  override async list(context: ActionContext) {
    // @ts-expect-error Delete is not mixed in
    super.delete;
    return (await super.list(context)).filter((room) => room.isOpen());
  }
}
same<ConsumerApi<Overriding>['actions']['create'], Actions['create']>();

@Consumer()
class WrongOverrides extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, Create, Patch) {
  // @ts-expect-error the name is a string
  override async create(_kwargs: { data: { name: number } }, _context: ActionContext) {
    return some<Room>();
  }
  // @ts-expect-error it retrieves rooms
  override async retrieve(_room: Message, _context: ActionContext) {
    return some<Room>();
  }
  // @ts-expect-error it lists rooms
  override async list(_context: ActionContext) {
    return [some<Message>()];
  }
  // @ts-expect-error Delete is not mixed in
  override async delete(_room: Room, _context: ActionContext) {}
  // @ts-expect-error the data of a patch are an object
  override async patch(_room: Room, _kwargs: { data: string }, _context: ActionContext) {
    return some<Room>();
  }
}
some<WrongOverrides>();

// Hooks

@Consumer()
class Hooked extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Create, Patch, Delete) {
  protected override getQuery(context: ActionContext) {
    return { archived: false, host: { username: String(context.scope.params.host) } };
  }
  protected override getSerializer({ action }: ActionContext) {
    return action === 'list' ? RoomName : RoomSerializer;
  }
  protected override getOrder(_context: ActionContext) {
    return { name: 'asc' as const };
  }
  protected override performCreate(
    serializer: WritingSerializer<Room, typeof RoomSerializer>,
    data: DataOf<typeof RoomSerializer>,
    context: ActionContext,
  ) {
    data.opensAt satisfies Date | undefined;
    return serializer.create({ ...data, host: some<User>() }, this.getSerializerContext(context));
  }
  protected override async performUpdate(
    serializer: WritingSerializer<Room, typeof RoomSerializer>,
    room: Room,
    data: DataOf<typeof RoomSerializer>,
    context: ActionContext,
  ) {
    // @ts-expect-error a room has no such property
    await serializer.update(room, { ...data, hots: some<User>() }, this.getSerializerContext(context));
    return serializer.update(room, { ...data, deputy: null }, this.getSerializerContext(context));
  }
}
// One annotation is enough, and super takes what the application sets

@Consumer()
class Owned extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create, Update, Patch, Delete) {
  protected override performCreate(...[serializer, data, context]: PerformCreate<RoomSerializer>) {
    same<typeof data, DataOf<typeof RoomSerializer>>();
    return super.performCreate(serializer, { ...data, host: some<User>() }, context);
  }
  protected override async performUpdate(...[serializer, room, data, context]: PerformUpdate<RoomSerializer>) {
    same<typeof room, Room>();
    return super.performUpdate(serializer, room, { ...data, deputy: null }, context);
  }
  protected override async performPatch(...[serializer, room, data, context]: PerformUpdate<typeof RoomSerializer>) {
    return serializer.update(room, { ...data, deputy: null }, this.getSerializerContext(context));
  }
  protected override async performDelete(...[room, context]: PerformDelete<RoomSerializer>) {
    room.archived = true;
    return super.performDelete(room, context);
  }
}
@Consumer()
class WronglyOwned extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create, Update, Delete) {
  protected override performCreate(...[serializer, data, context]: PerformCreate<RoomSerializer>) {
    // @ts-expect-error a room has no such property
    return super.performCreate(serializer, { ...data, hots: some<User>() }, context);
  }
  // @ts-expect-error it updates rooms
  protected override performUpdate(...[serializer, message, data, context]: PerformUpdate<MessageSerializer>) {
    return super.performUpdate(serializer as never, message as never, data as never, context);
  }
  // @ts-expect-error it deletes rooms
  protected override async performDelete(..._parameters: PerformDelete<MessageSerializer>) {}
}
same<keyof ConsumerApi<Owned>['actions'], 'create' | 'update' | 'patch' | 'delete'>();
some<WronglyOwned>();

@Consumer()
class WronglyHooked extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Delete) {
  // @ts-expect-error a room has no such column
  protected override getQuery(_context: ActionContext) {
    return { archvied: false };
  }
  // @ts-expect-error it serializes messages
  protected override getSerializer(_context: ActionContext) {
    return MessageSerializer;
  }
  // @ts-expect-error it deletes rooms
  protected override async performDelete(_message: Message, _context: ActionContext) {}
}
same<keyof ConsumerApi<Hooked>['actions'], 'list' | 'create' | 'patch' | 'delete'>();
same<keyof ConsumerApi<WronglyHooked>['actions'], 'list' | 'delete'>();

// A mixin of the application's own

interface CountActions<Row> {
  count(context: ActionContext): Promise<number>;
  touch(row: Row, context: ActionContext): Promise<Row>;
}
interface CountTypes extends MixinTypes {
  readonly actions: CountActions<this['on']['model']>;
}
const Count: Mixin<CountTypes> = (base) => {
  abstract class Counting extends base {
    @Action() async count(context: ActionContext): Promise<number> {
      return this.unitOfWork.em.count(Room, (await this.visibleRows(context)) as never);
    }
    @DetailAction() async touch(row: object, _context: ActionContext): Promise<object> {
      return row;
    }
  }
  return Counting;
};

@Consumer()
class Counted extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Count, Retrieve) {
  override async touch(room: Room, context: ActionContext) {
    room.archived = (await this.count(context)) > 0;
    return super.touch(room, context);
  }
}
same<ConsumerApi<Counted>['actions']['count']['reply'], number>();
same<ConsumerApi<Counted>['actions']['touch']['kwargs'], { pk: number }>();
same<ConsumerApi<Counted>['actions']['touch']['reply'], RoomView>();

@Consumer()
class CountedMessages extends mix(ModelConsumer(Message, { serializer: MessageSerializer }), Count) {
  // @ts-expect-error the model is Message here
  override async touch(_room: Room, _context: ActionContext) {
    return some<Room>();
  }
}
some<CountedMessages>();
// @ts-expect-error not a mixin
mix(ModelConsumer(Room, { serializer: RoomSerializer }), Room);
// @ts-expect-error mixins are for model consumers
mix(ApiConsumer, List);

// The serializer has to be one of the model's

ModelConsumer(Room, { serializer: RoomName });
// @ts-expect-error a serializer of messages
ModelConsumer(Room, { serializer: MessageSerializer });
// @ts-expect-error a serializer of users
mix(ModelConsumer(Room, { serializer: UserSerializer }), List);
// @ts-expect-error no serializer
ModelConsumer(Room, { serializer: Room });
// @ts-expect-error a serializer is needed
ModelConsumer(Room, {});
// @ts-expect-error misspelt option
ModelConsumer(Room, { serializer: RoomSerializer, paginater: 1 });

// A serializer that is no ModelSerializer, and other keys

@Consumer()
class Named extends mix(ModelConsumer(Room, { serializer: RoomName }), List, Create) {}
same<ConsumerApi<Named>['actions']['list']['reply'], { name: string }[]>();
same<ConsumerApi<Named>['actions']['create']['kwargs'], { data: { [field: string]: unknown } }>();

class TagSerializer extends ModelSerializer(Tag, { fields: ['uuid', 'label'] }) {}
class MembershipSerializer extends ModelSerializer(Membership, { fields: ['user', 'position'] }) {}
@Consumer()
class Tags extends mix(ModelConsumer(Tag, { serializer: TagSerializer }), Retrieve) {}
@Consumer()
class Memberships extends mix(ModelConsumer(Membership, { serializer: MembershipSerializer }), Retrieve) {}
same<ConsumerApi<Tags>['actions']['retrieve']['kwargs'], { pk: string }>();
same<ConsumerApi<Memberships>['actions']['retrieve']['kwargs'], { pk: { user: number; position: number } }>();
// @ts-expect-error the key is a uuid
same<ConsumerApi<Tags>['actions']['retrieve']['kwargs'], { pk: number }>();

// Rows however they were loaded, many of them or none

@Consumer()
class Returning extends ModelConsumer(Room, { serializer: RoomSerializer }) {
  @Action() async populated() {
    return this.unitOfWork.em.findOneOrFail(Room, 1, { populate: ['host', 'members'] });
  }
  @Action() async all() {
    return this.unitOfWork.em.findAll(Room, { populate: ['host', 'members'] });
  }
  @Action() async maybe() {
    return this.unitOfWork.em.findOne(Room, 1);
  }
  @Action() async *each() {
    yield some<Room>();
  }
}
type Returned = ConsumerApi<Returning>['actions'];
same<Returned['populated']['reply'], RoomView>();
same<Returned['all']['reply'], RoomView[]>();
same<Returned['maybe']['reply'], RoomView | null>();
same<Returned['each']['part'], RoomView>();
// @ts-expect-error it may be null
same<Returned['maybe']['reply'], RoomView>();
same<ViewOf<typeof RoomSerializer>['opensAt'], Date>();
