import { EntityManager } from '@mikro-orm/core';
import { Type } from 'class-transformer';
import { IsDate, IsInt, IsString, Length } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type AppApi,
  Clock,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  demultiplexer,
  type GivenSettings,
  GroupsForConsumer,
  GroupsForSignal,
  IsAuthenticated,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  Retrieve,
  type Subscription,
  subprotocolToken,
  type TokenVerifier,
} from 'signalbox';
import { injectable, container as rootContainer } from 'tsyringe';
import { Inbox } from '#signalbox/testing/inbox.js';
import { Message, Room } from '../support/entities.js';
import { MessageSerializer, RoomKey } from '../support/rooms.js';

/** Why waits ended. */
export const abortions = new Inbox<unknown>();

/** What is served to the client in its specs: rooms and their messages, and a clock on a route without streams. */

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'archived'],
  readOnly: ['id', 'archived'],
}) {}

class NewMessage extends RoomKey {
  @IsString() @Length(1, 500) text!: string;
}

class Countdown {
  @IsInt() from!: number;
}

/** Rooms that nobody may follow any more. */
export const lockedRooms = new Set<number>();

@injectable()
class MayFollow implements Permission {
  hasPermission({ kwargs }: ActionContext) {
    return !lockedRooms.has(Number(kwargs['room']));
  }
}

@Consumer()
export class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Patch,
  Delete,
  ObserveInstance,
) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @DetailAction()
  archive(room: Room) {
    room.archived = true;
    return room;
  }

  @Action({ status: 201, reply: MessageSerializer })
  async createMessage({ room, text }: NewMessage) {
    const message = this.em.create(Message, { room, text });
    await this.em.flush();
    return { id: message.id, text: message.text };
  }

  @Action()
  async listMessages({ room }: RoomKey) {
    const messages = await this.em.find(Message, { room }, { orderBy: { id: 'asc' } });
    return messages.map(({ id, text }) => ({ id, text }));
  }

  @Action({ status: 201, permissions: [MayFollow] })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    if (room < 0) throw new PermissionDenied();
    await this.subscribe(this.onMessage, { room }, context);
    return { room };
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

  @Action()
  async *countdown({ from }: Countdown, { signal }: ActionContext) {
    for (let left = from; left > 0; left--) {
      signal.throwIfAborted();
      yield { left };
    }
    return { done: true };
  }

  /** Ends only when it is cancelled. */
  @Action({ detached: true })
  async wait({ signal }: ActionContext): Promise<null> {
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        abortions.put(signal.reason);
        reject(signal.reason);
      });
    });
  }
}

class Moment {
  @Type(() => Date) @IsDate() at!: Date;
}

@Consumer()
class ClockConsumer extends ApiConsumer {
  @Action()
  async year({ at }: Moment) {
    return { year: at.getUTCFullYear(), at, ticks: 2n };
  }

  @Action()
  async leave() {
    this.close(4000, 'Time is up.');
    return null;
  }

  @Action()
  async shout() {
    this.sendJson({ shouted: 'hi' });
  }
}

class Tokens implements TokenVerifier {
  async verify(token: string) {
    return token === 'fresh' ? { userId: '1' } : undefined;
  }
}

@Consumer()
@Permissions(IsAuthenticated)
class MemberConsumer extends ApiConsumer {
  @Action()
  async who({ scope }: ActionContext) {
    return { id: scope.identity?.userId ?? null };
  }

  @Action()
  async expire() {
    this.close(4401, 'The token expired.');
    return null;
  }
}

export function createChat(
  orm: Parameters<typeof createApp>[0]['orm'],
  settings: GivenSettings = {},
  clock: Clock = new Clock(),
) {
  const container = rootContainer.createChildContainer();
  container.registerInstance(Clock, clock);
  return createApp({
    orm,
    settings,
    container,
    routes: [
      path('/ws/chat/', demultiplexer({ rooms: RoomConsumer })),
      path('/ws/clock/', ClockConsumer),
      path('/ws/members/', MemberConsumer, { middleware: [subprotocolToken(Tokens)] }),
    ],
  });
}

export type ChatApi = AppApi<ReturnType<typeof createChat>, '/ws/chat/'>;
export type ClockApi = AppApi<ReturnType<typeof createChat>, '/ws/clock/'>;
export type MemberApi = AppApi<ReturnType<typeof createChat>, '/ws/members/'>;
