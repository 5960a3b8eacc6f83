import { EntityManager, type MikroORM } from '@mikro-orm/core';
import { Length } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  Create,
  createApp,
  type Delivery,
  demultiplexer,
  type GivenSettings,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
  reply,
  type Scope,
  type ScopeMiddleware,
  type Subscription,
} from 'signalbox';
import { type ExplorerOptions, explorer } from 'signalbox/explorer';
import { injectable } from 'tsyringe';
import { Message, Room } from '../support/entities.js';
import { type TestProviders, testProviders } from '../support/providers.js';
import { RoomKey, RoomMessageSerializer } from '../support/rooms.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'archived'] }) {}

/** `?as=ann` logs in as ann, `?as=nobody` as no user. */
@injectable()
class ByQuery implements ScopeMiddleware {
  apply(scope: Scope): void {
    const name = scope.query.get('as') ?? 'guest';
    if (name !== 'nobody') scope.user = { id: 7, name, password: 'secret' };
  }
}

@injectable()
class IsKnown implements Permission {
  canConnect({ user }: Scope): boolean {
    return user !== undefined;
  }
}

/** Refuses to deliver messages that begin with psst. */
@injectable()
class NoWhispers implements Permission {
  canReceive({ data }: Delivery): boolean {
    return !String((data as { text?: unknown }).text).startsWith('psst');
  }
}

class CreateMessage extends RoomKey {
  @Length(1, 500) text!: string;
}

@Consumer()
@Permissions(IsKnown)
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Patch,
  ObserveInstance,
) {
  protected override getQuery() {
    return { archived: false };
  }
}

@Consumer()
@Permissions(IsKnown, NoWhispers)
class MessageConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201, atomic: true })
  async say({ room, text }: CreateMessage) {
    const message = this.em.create(Message, { room: this.em.getReference(Room, room), text });
    return reply(message, { serializer: RoomMessageSerializer });
  }

  @Action({ status: 201 })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @Action()
  async count(_context: ActionContext) {
    return this.em.count(Message);
  }

  @ModelObserver(() => Message, { serializer: RoomMessageSerializer })
  async onMessage(event: ModelEvent<RoomMessageSerializer>, subscription: Subscription<RoomKey>) {
    if (event.action === 'delete' || event.data.text !== '') await subscription.send(event);
  }
  @GroupsForSignal('onMessage') protected *groupsOfMessage({ room }: Message) {
    yield `room-${room.id}`;
  }
  @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

@Consumer()
class TenantConsumer extends ApiConsumer {
  @Action()
  async tenant(_context: ActionContext) {
    return this.scope.params['tenant'];
  }
}

/** An application with an explorer, on any free port of this machine. */
export function exploredApp(
  orm: MikroORM,
  options: ExplorerOptions = {},
  settings: GivenSettings = {},
  { container }: Pick<TestProviders, 'container'> = testProviders(),
): App {
  return createApp({
    orm,
    container,
    routes: [
      path('/ws/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer })),
      path('/ws/tenants/:tenant(int)/', TenantConsumer),
    ],
    middleware: [ByQuery],
    explorer: explorer(options),
    settings: { development: true, ...settings },
  });
}
