import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  type Permission,
  type Route,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { Message, Room, User } from './entities.js';
import { testProviders } from './providers.js';

@injectable()
export class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], readOnly: ['id'] }) {}

/** With the columns that a room has besides. */
@injectable()
export class WholeRoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'archived', 'host'],
  readOnly: ['id'],
}) {}

@injectable()
export class UserSerializer extends ModelSerializer(User, { fields: ['id', 'username'] }) {}

@injectable()
export class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text'], readOnly: ['id'] }) {}

/** With the room that a message is in. */
@injectable()
export class RoomMessageSerializer extends ModelSerializer(Message, { fields: ['id', 'room', 'text'] }) {}

export class RoomKey {
  @IsInt() room!: number;
}

/** The messages of each room. */
export abstract class MessageObserver extends ApiConsumer {
  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage(message: Message): Iterable<string> {
    yield `room-${message.room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey): Iterable<string> {
    yield `room-${room}`;
  }
}

/** Shows the rooms that are not archived. */
export class IsCurrent implements Permission {
  hasObjectPermission(_context: ActionContext, { archived }: Room) {
    return !archived;
  }
}

export interface RoomRow {
  readonly name: string;
  readonly archived?: boolean;
  /** The key of a user. */
  readonly host?: number;
}

/** Rooms, an application that serves them, and what a spec does with them through an ORM that no action uses. */
export interface Rooms {
  readonly app: App;
  readonly em: EntityManager;
  /** Connected to the first route. */
  readonly ann: TestConnection;
  /** Changes a room and stores it. */
  write(change: (room: Room) => void, pk?: number): Promise<void>;
  add(name: string): Promise<void>;
  remove(pk: number): Promise<void>;
}

/** Before each spec: the users ann and bob, these rooms by the keys 1, 2 and so on, and a new application of these routes. */
export function useRooms(
  database: { readonly orm: MikroORM },
  routes: readonly [Route, ...Route[]],
  rows: readonly RoomRow[] = [{ name: 'red' }, { name: 'blue', archived: true }],
): Rooms {
  let app: App;
  let em: EntityManager;
  let ann: TestConnection;

  beforeEach(async () => {
    em = database.orm.em.fork();
    await em.execute(`insert into "user" (username, password) values ('ann', 'secret'), ('bob', 'secret')`);
    for (const { name, archived = false, host = null } of rows)
      await em.execute('insert into room (name, archived, host_id) values (?, ?, ?)', [name, archived, host]);
    app = createApp({ orm: database.orm, container: testProviders().container, routes });
    ann = await connect(app, routes[0].path);
  });
  afterEach(() => app.close());

  return {
    get app() {
      return app;
    },
    get em() {
      return em;
    },
    get ann() {
      return ann;
    },
    async write(change, pk = 1) {
      change(await em.findOneOrFail(Room, pk));
      await em.flush();
    },
    async add(name) {
      em.create(Room, { name });
      await em.flush();
    },
    async remove(pk) {
      em.remove(await em.findOneOrFail(Room, pk));
      await em.flush();
    },
  };
}

/** Every room, to each client that watches. */
@Consumer()
export class RoomWatcher extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onRoom, {}, context);
  }

  @ModelObserver(() => Room, { serializer: RoomSerializer })
  async onRoom(event: ModelEvent<RoomSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}
