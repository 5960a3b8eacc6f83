import { EntityManager, type MikroORM } from '@mikro-orm/core';
import { IsInt, IsString, Length } from 'class-validator';
import {
  Action,
  ActionContext,
  type AppApi,
  all,
  Clock,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  not,
  ObserveInstance,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
  reply,
  type Subscription,
  Update,
} from 'signalbox';
import { container, injectable } from 'tsyringe';
import { Message, Room, User } from './entities.js';
import { some } from './support.js';

/** The application of section 1 of the design, whole, with exports as a project has them that emits declarations. */

@injectable()
export class IsBanned implements Permission {
  hasPermission({ scope }: ActionContext) {
    return scope.user?.username === 'mallory';
  }
}

@injectable()
export class UserSerializer extends ModelSerializer(User, { fields: ['id', 'username'] }) {}

@injectable()
export class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host', 'visits'],
  readOnly: ['id', 'host', 'visits'],
}) {}

@injectable()
export class MessageSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text', 'sentAt', 'user'],
  readOnly: ['sentAt'],
  nested: { user: UserSerializer },
  computed: ['age'],
}) {
  constructor(private readonly clock: Clock) {
    super();
  }

  async age(message: Message) {
    return this.clock.now().getTime() - message.sentAt.getTime();
  }
}

export class CreateMessage {
  @IsInt() room!: number;
  /** What is said. */
  @IsString() @Length(1, 500) text!: string;
}

export class RoomKey {
  @IsInt() room!: number;
}

@Consumer()
@Permissions(all(IsAuthenticated, not(IsBanned)))
export class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {
    super();
  }

  @Action({ status: 201 })
  async createMessage({ room, text }: CreateMessage, { scope }: ActionContext) {
    const sentAt = this.clock.now();
    const message = this.em.create(Message, { room, text, sentAt, user: some<NonNullable<typeof scope.user>>() });
    await this.em.flush();
    return reply(message, { serializer: MessageSerializer });
  }

  /** It takes no more messages. */
  @DetailAction()
  archive(room: Room) {
    room.archived = true;
    return room;
  }

  @Action({ detached: true })
  async export({ room }: RoomKey, { signal }: ActionContext) {
    signal.throwIfAborted();
    return { room, finishedAt: this.clock.now() };
  }

  @Action()
  async *countdown(_kwargs: RoomKey, { signal }: ActionContext) {
    for (let left = 3; left > 0 && !signal.aborted; left--) yield { left };
    return { done: true };
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onAnyMessage(event: ModelEvent<Message>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  protected override getQuery(_context: ActionContext) {
    return { archived: false };
  }
}

@Consumer()
export class MessageConsumer extends mix(
  ModelConsumer(Message, { serializer: MessageSerializer }),
  List,
  ObserveInstance,
) {}

export const app = createApp({
  orm: some<MikroORM>(),
  container,
  routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer }))],
});
export type Api = AppApi<typeof app>;
await app.listen({ port: 8000 });
