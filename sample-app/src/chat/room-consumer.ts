import { EntityManager } from '@mikro-orm/core';
import {
  Action,
  ActionContext,
  Clock,
  Consumer,
  Create,
  DetailAction,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  ObserveInstance,
  type PerformCreate,
  Permissions,
  Retrieve,
  RevokedBy,
  reply,
  type Subscription,
  ValidationFailed,
} from 'signalbox';
import { Message } from '../entities/message.js';
import { Room } from '../entities/room.js';
import { User } from '../entities/user.js';
import { CreateMessage } from './create-message.js';
import { MemberName } from './member-name.js';
import { MessageSerializer } from './message-serializer.js';
import { NotInRoom } from './not-in-room.js';
import { NotTheHost } from './not-the-host.js';
import { Presence } from './presence.js';
import { RoomSerializer } from './room-serializer.js';
import { RoomSummarySerializer } from './room-summary-serializer.js';
import { RoomUsersSerializer } from './room-users-serializer.js';
import { roomsVisibleTo } from './visible-rooms.js';

interface RoomKey {
  readonly room: number;
}

interface UserKey {
  readonly user: number;
}

/** The chat: rooms, their users and their messages. One instance serves one connection. */
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

  /** Subscribes to the list of the room's users too: the reply contains it, and every change of it is an event. */
  @DetailAction({ status: 201, reply: RoomUsersSerializer })
  async joinRoom(room: Room, context: ActionContext) {
    await this.subscribe(this.onUsers, { room: room.id }, context);
    if (this.joined !== room.id) {
      await this.leave();
      context.signal.throwIfAborted();
      this.joined = room.id;
    }
    // A member who was removed and added again is inside again.
    await this.presence.enter(room.id, this.user.id, this);
    return reply(room, { serializer: RoomUsersSerializer });
  }

  @DetailAction({ status: 204 })
  async leaveRoom(room: Room, _context: ActionContext) {
    if (this.joined === room.id) await this.leave();
  }

  /** Runs in a transaction, which is committed before the reply and the events are sent. */
  @Action({ status: 201, atomic: true, reply: MessageSerializer })
  async createMessage({ text }: CreateMessage, _context: ActionContext) {
    const message = this.em.create(Message, {
      room: await this.roomInside(),
      user: this.em.getReference(User, this.user.id),
      text,
      createdAt: this.clock.now(),
    });
    return reply(message, { serializer: MessageSerializer });
  }

  /** All users inside get an event; for the new member it is a new room in the lobby. */
  @DetailAction({ reply: RoomUsersSerializer })
  async addMember(room: Room, { username }: MemberName, _context: ActionContext) {
    room.members.add(await this.memberNamed(username, room));
    await this.em.flush();
    return reply(room, { serializer: RoomUsersSerializer });
  }

  /** From here on, a user who is inside receives no events of the room, in any tab. */
  @DetailAction({ reply: RoomUsersSerializer })
  async removeMember(room: Room, { username }: MemberName, _context: ActionContext) {
    const member = await this.memberNamed(username, room);
    if (member.id === room.host.id) throw ValidationFailed.of({ username: ['The host stays.'] });
    await room.members.init();
    room.members.remove(member);
    await this.em.flush();
    await this.presence.expel(room.id, member.id);
    return reply(room, { serializer: RoomUsersSerializer });
  }

  @DetailAction({ status: 201 })
  async subscribeToMessagesInRoom(room: Room, context: ActionContext) {
    await this.subscribe(this.onMessage, { room: room.id }, context);
  }

  @DetailAction({ status: 204 })
  async unsubscribeFromMessagesInRoom(room: Room, _context: ActionContext) {
    await this.unsubscribe(this.onMessage, { room: room.id });
  }

  /** Follows the rooms of the lobby: every room that this user may see, when it is opened, entered and left. */
  @Action({ status: 201 })
  async subscribeToRooms(context: ActionContext) {
    await this.subscribe(this.onRoom, { user: this.user.id }, context);
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

  /** A user who may no longer see the room gets one error, and no event from then on. */
  @RevokedBy('onMessage', () => Room)
  @RevokedBy('onUsers', () => Room)
  protected *subscribersOf({ id, isPrivate }: Room) {
    if (isPrivate) yield `room-${id}`;
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
  async onRoom(event: ModelEvent<RoomSummarySerializer>, subscription: Subscription<UserKey>) {
    await subscription.send(event);
  }

  /** A private room enters the lobby of a new member, and leaves the lobby of a former one. */
  @GroupsForSignal('onRoom')
  protected *groupsOfSummary({ isPrivate, members }: Room) {
    if (!isPrivate) yield 'everybody';
    else for (const { id } of members) yield `user-${id}`;
  }

  @GroupsForConsumer('onRoom')
  protected *groupsOfLobby({ user }: UserKey) {
    yield 'everybody';
    yield `user-${user}`;
  }

  /** Used by every action that names a room: a room that the user may not see is a 404. */
  protected override getQuery() {
    return roomsVisibleTo(this.user);
  }

  protected override getSerializer({ action }: ActionContext) {
    return action === 'list' ? RoomSummarySerializer : RoomSerializer;
  }

  /** The user who opens a room is its host, whatever data the client sends. */
  protected override performCreate(...[serializer, data, context]: PerformCreate<RoomSerializer>) {
    const host = this.em.getReference(User, this.user.id);
    return super.performCreate(serializer, { ...data, host, members: [host] }, context);
  }

  protected override async onDisconnect() {
    await this.leave();
  }

  /** Checked again for every message: a member may have been removed since joining. */
  private async roomInside(): Promise<Room> {
    if (this.joined === undefined) throw new NotInRoom();
    const room = await this.em.findOne(Room, { $and: [{ id: this.joined }, this.getQuery()] });
    if (!room) throw new NotInRoom();
    return room;
  }

  private async memberNamed(username: string, room: Room): Promise<User> {
    if (room.host.id !== this.user.id) throw new NotTheHost();
    const user = await this.em.findOne(User, { username });
    if (!user) throw ValidationFailed.of({ username: ['There is no such user.'] });
    return user;
  }

  private async leave() {
    const room = this.joined;
    if (room === undefined) return;
    this.joined = undefined;
    await this.unsubscribe(this.onUsers, { room });
    await this.presence.leave(room, this.user.id, this);
  }
}
