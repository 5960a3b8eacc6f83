import {
  Action,
  type ActionContext,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  Serializer,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { Membership, Message, Room, RoomKey, RoomSerializer, User } from './entities.js';
import { same, some } from './support.js';

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text', 'sentAt'] }) {}

class MessageText extends Serializer<Message, { said: string }> {
  toData({ text }: Message) {
    return { said: text };
  }
}

type MessageView = { id: number; text: string; sentAt: Date };

// Observers, their groups and their subscribers

@Consumer()
class Chat extends ApiConsumer {
  @Action({ status: 201 }) async enter({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
    await this.subscribe(this.onAny, {}, context);
    await this.unsubscribe(this.onMessage, { room });
    await this.unsubscribe(this.onMessage, { room }, context);
    // @ts-expect-error misspelt kwarg
    await this.subscribe(this.onMessage, { rom: room }, context);
    // @ts-expect-error a room is named by its number
    await this.subscribe(this.onMessage, { room: 'red' }, context);
    // @ts-expect-error kwargs are needed
    await this.subscribe(this.onMessage, {}, context);
    // @ts-expect-error the context is needed
    await this.subscribe(this.onMessage, { room });
    // @ts-expect-error misspelt observer
    await this.subscribe(this.onMesage, { room }, context);
    // @ts-expect-error an action is no observer
    await this.subscribe(this.enter, { room }, context);
    // @ts-expect-error nor is one without a context
    await this.subscribe(this.leave, { room }, context);
    // @ts-expect-error nor is a groups method
    await this.subscribe(this.groupsOfRoom, { room }, context);
    // @ts-expect-error observers are named by reference
    await this.subscribe('onMessage', { room }, context);
    // @ts-expect-error misspelt kwarg
    await this.unsubscribe(this.onMessage, { rom: room });
    // @ts-expect-error an action is no observer
    await this.unsubscribe(this.leave, { room });
  }
  @Action() leave(_kwargs: RoomKey) {}

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    same<typeof subscription.kwargs, RoomKey>();
    same<typeof event.pk, number>();
    // @ts-expect-error a delete tells the key only
    event.data.text;
    if (event.action === 'delete') {
      same<typeof event.data, { readonly pk: number }>();
      // @ts-expect-error nothing else is told
      event.data.text;
    } else {
      same<typeof event.data, MessageView>();
      same<typeof event.action, 'create' | 'update'>();
      // @ts-expect-error not among the fields
      event.data.user;
    }
    // @ts-expect-error there is no such action
    if (event.action === 'remove') return;
    await subscription.send(event);
    await subscription.send({ action: event.action, data: { ...event.data, pk: event.pk } });
    // @ts-expect-error an event has one of three actions
    await subscription.send({ action: 'removed', data: null });
  }
  @GroupsForSignal('onMessage') protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }
  @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }

  // As in the design: the data are unknown, whatever the serializer.
  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onAny(event: ModelEvent<Message>, subscription: Subscription) {
    if (event.action !== 'delete') same<typeof event.data, unknown>();
    await subscription.send(event);
  }
  @GroupsForSignal('onAny') protected async *everyMessage(_message: Message) {
    yield 'all';
  }
  @GroupsForConsumer('onAny') protected async everybody() {
    return ['all'];
  }

  @ModelObserver(() => Message, { serializer: MessageText })
  async onText(event: ModelEvent<MessageText>) {
    if (event.action !== 'delete') same<typeof event.data, { said: string }>();
  }
  @ModelObserver(() => Message)
  async onKey(event: ModelEvent<Message, { pk: number }>, _subscription: Subscription<RoomKey>) {
    same<typeof event.data.pk, number>();
  }
  @ModelObserver(() => Membership)
  async onMembership(event: ModelEvent<Membership>) {
    same<typeof event.pk, { readonly user: number; readonly position: number }>();
  }

  // @ts-expect-error misspelt observer
  @GroupsForSignal('onMesage') protected *misspeltSignal(message: Message) {
    yield message.text;
  }
  // @ts-expect-error misspelt observer
  @GroupsForConsumer('onMesage') protected *misspeltConsumer({ room }: RoomKey) {
    yield `${room}`;
  }
  // @ts-expect-error the observed entity is Message
  @GroupsForSignal('onMessage') protected *wrongEntity(room: Room) {
    yield room.name;
  }
  // @ts-expect-error the kwargs are a RoomKey
  @GroupsForConsumer('onMessage') protected *wrongKwargs({ name }: { name: string }) {
    yield name;
  }
  // @ts-expect-error groups are named by text
  @GroupsForSignal('onMessage') protected *wrongGroups(message: Message) {
    yield message.id;
  }
  // @ts-expect-error one group is a list of one
  @GroupsForConsumer('onMessage') protected async noGroups({ room }: RoomKey) {
    return room;
  }
  // @ts-expect-error an action is no observer
  @GroupsForSignal('leave') protected *groupsOfAction(message: Message) {
    yield message.text;
  }
  // @ts-expect-error an action is no observer
  @GroupsForConsumer('enter') protected *groupsOfEnter({ room }: RoomKey) {
    yield `${room}`;
  }
}

@Consumer()
class Wrong extends ApiConsumer {
  // @ts-expect-error events of rooms, and it observes messages
  @ModelObserver(() => Message, { serializer: MessageSerializer }) ofAnother(event: ModelEvent<RoomSerializer>) {
    return event;
  }
  // @ts-expect-error events of rooms, whatever their data
  @ModelObserver(() => Message, { serializer: MessageSerializer }) ofAnotherModel(event: ModelEvent<Room>) {
    return event;
  }
  // @ts-expect-error a serializer of rooms
  @ModelObserver(() => Message, { serializer: RoomSerializer }) anotherSerializer(event: ModelEvent<Message>) {
    return event;
  }
  // @ts-expect-error its serializer shows the text otherwise
  @ModelObserver(() => Message, { serializer: MessageText }) otherData(event: ModelEvent<MessageSerializer>) {
    return event;
  }
  // @ts-expect-error without a serializer the data are the key
  @ModelObserver(() => Message) unserialized(event: ModelEvent<MessageSerializer>) {
    return event;
  }
  // @ts-expect-error it is told of deletes as well
  @ModelObserver(() => Message) noDelete(event: Extract<ModelEvent<Message>, { action: 'update' }>) {
    return event;
  }
  // @ts-expect-error the second parameter is the subscription
  @ModelObserver(() => Message) noSubscription(event: ModelEvent<Message>, context: ActionContext) {
    return { event, context };
  }
  // @ts-expect-error a function, because the entity may not be defined yet
  @ModelObserver(Message) noFunction(event: ModelEvent<Message>) {
    return event;
  }
  // @ts-expect-error misspelt option
  @ModelObserver(() => Message, { serialiser: MessageSerializer }) misspelt(event: ModelEvent<Message>) {
    return event;
  }
}
some<Wrong>();
some<User>();

// What a client hears

type Observers = ConsumerApi<Chat>['observers'];
same<keyof Observers, 'onMessage' | 'onAny' | 'onText' | 'onKey' | 'onMembership'>();
same<keyof ConsumerApi<Chat>['actions'], 'enter' | 'leave'>();
same<Observers['onMessage']['kwargs'], { room: number }>();
same<
  Observers['onMessage']['event'],
  | { readonly action: 'create' | 'update'; readonly data: { id: number; text: string; sentAt: string } }
  | { readonly action: 'delete'; readonly data: { pk: number } }
>();
// @ts-expect-error a Date does not survive JSON
same<Extract<Observers['onMessage']['event'], { action: 'update' | 'create' }>['data'], MessageView>();
const heard = some<Observers['onMessage']['event']>();
if (heard.action !== 'delete') heard.data.text satisfies string;
// @ts-expect-error a delete has no text
heard.data.text;
