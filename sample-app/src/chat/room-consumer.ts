import { EntityManager } from '@mikro-orm/core';
import {
  Action,
  ActionContext,
  Clock,
  Consumer,
  Create,
  type DataOf,
  DetailAction,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  NotAuthenticated,
  ObserveInstance,
  Permissions,
  Retrieve,
  reply,
  type Subscription,
  type WritingSerializer,
} from 'signalbox';
import { Message } from '../entities/message.js';
import { Room } from '../entities/room.js';
import { User } from '../entities/user.js';
import { CreateMessage } from './create-message.js';
import { MessageSerializer } from './message-serializer.js';
import { NotInRoom } from './not-in-room.js';
import { Presence } from './presence.js';
import { RoomSerializer } from './room-serializer.js';
import { RoomSummarySerializer } from './room-summary-serializer.js';
import { RoomUsersSerializer } from './room-users-serializer.js';

interface RoomKey {
  readonly room: number;
}

/** The chat: rooms, who is in them, and what is said. One instance serves one connection. */
@Consumer()
@Permissions(IsAuthenticated)
export class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  ObserveInstance,
) {
  /** The key of the room that this connection is in. */
  private joined: number | undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly presence: Presence,
  ) {
    super();
  }

  /** Subscribes to the list of the room's users as well: the reply has it, and every change of it is an event. */
  @DetailAction()
  async joinRoom(room: Room, context: ActionContext) {
    await this.subscribe(this.onUsers, { room: room.id }, context);
    if (this.joined !== room.id) {
      await this.leave();
      context.signal.throwIfAborted();
      this.joined = room.id;
      await this.presence.enter(room.id, this.user.id);
    }
    return reply(room, { serializer: RoomUsersSerializer, status: 201 });
  }

  @DetailAction({ status: 204 })
  async leaveRoom(room: Room, _context: ActionContext) {
    if (this.joined === room.id) await this.leave();
  }

  /** Not async: it runs in a transaction, which is committed before the reply is sent and the room is told. */
  @Action({ status: 201 })
  createMessage({ text }: CreateMessage, _context: ActionContext) {
    if (this.joined === undefined) throw new NotInRoom();
    const message = this.em.create(Message, {
      room: this.em.getReference(Room, this.joined),
      user: this.em.getReference(User, this.user.id),
      text,
      createdAt: this.clock.now(),
    });
    return reply(message, { serializer: MessageSerializer });
  }

  @DetailAction({ status: 201 })
  async subscribeToMessagesInRoom(room: Room, context: ActionContext) {
    await this.subscribe(this.onMessage, { room: room.id }, context);
  }

  @DetailAction({ status: 204 })
  async unsubscribeFromMessagesInRoom(room: Room, _context: ActionContext) {
    await this.unsubscribe(this.onMessage, { room: room.id });
  }

  /** What the lobby shows: every room, as it is opened, entered and left. */
  @Action({ status: 201 })
  async subscribeToRooms(context: ActionContext) {
    await this.subscribe(this.onRoom, {}, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage({ action, pk, data }: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send({ action, data: { ...data, pk } });
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage({ room }: Message) {
    yield `room-${room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfMessages({ room }: RoomKey) {
    yield `room-${room}`;
  }

  @ModelObserver(() => Room, { serializer: RoomUsersSerializer })
  async onUsers(event: ModelEvent<RoomUsersSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onUsers')
  protected *groupsOfRoom({ id }: Room) {
    yield `room-${id}`;
  }

  @GroupsForConsumer('onUsers')
  protected *groupsOfUsers({ room }: RoomKey) {
    yield `room-${room}`;
  }

  @ModelObserver(() => Room, { serializer: RoomSummarySerializer })
  async onRoom(event: ModelEvent<RoomSummarySerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  protected override getSerializer({ action }: ActionContext) {
    return action === 'list' ? RoomSummarySerializer : RoomSerializer;
  }

  /** Whoever opens a room is its host, whatever the client says. */
  protected override performCreate(
    serializer: WritingSerializer<Room, typeof RoomSerializer>,
    data: DataOf<typeof RoomSerializer>,
    context: ActionContext,
  ) {
    const room = { ...data, host: this.em.getReference(User, this.user.id) };
    return serializer.create(room, this.getSerializerContext(context));
  }

  protected override async onDisconnect() {
    await this.leave();
  }

  private get user(): User {
    if (!this.scope.user) throw new NotAuthenticated();
    return this.scope.user;
  }

  private async leave() {
    const room = this.joined;
    if (room === undefined) return;
    this.joined = undefined;
    await this.unsubscribe(this.onUsers, { room });
    await this.presence.leave(room, this.user.id);
  }
}
