import {
  type ActionContext,
  ApiConsumer,
  type App,
  type AppApi,
  Consumer,
  type ConsumerApi,
  demultiplexer,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { type Client, hear } from 'signalbox/client';
import { Message, Room } from './entities.js';
import { same, some } from './support.js';

interface RoomKey {
  readonly room: number;
}

@Consumer({ eager: true })
class LobbyConsumer extends ApiConsumer {
  override readonly requestIds = { lobby: 'onMessage', mistaken: 'helper' } as const;

  protected override async onConnect() {
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' });
    await this.unsubscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' });
    // @ts-expect-error the kwargs are those of the observer
    await this.subscribe(this.onMessage, { rom: 1 }, { requestId: 'lobby' });
    // @ts-expect-error a number may be one of the client's
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: 1 });
    // @ts-expect-error without one the client could not tell its events
    await this.subscribe(this.onMessage, { room: 1 });
  }

  @ModelObserver(() => Message) async onMessage(_event: ModelEvent<Message>, _subscription: Subscription<RoomKey>) {}
  protected helper(_context: ActionContext) {}
}

@Consumer()
class RoomConsumer extends ApiConsumer {
  @ModelObserver(() => Room) async onRoom(_event: ModelEvent<Room>, _subscription: Subscription) {}
}

type Lobby = ConsumerApi<LobbyConsumer>;
same<Lobby['subscriptions']['lobby'], Lobby['observers']['onMessage']>();
same<Lobby['subscriptions']['mistaken'], never>();
same<keyof ConsumerApi<RoomConsumer>['subscriptions'], never>();
same<keyof Lobby['actions'], never>();

// Clients

const routes = [
  path('/', demultiplexer({ lobby: LobbyConsumer, rooms: RoomConsumer })),
  path('/one/', LobbyConsumer),
] as const;
type LobbyApp = App<typeof routes>;
const client = some<Client<AppApi<LobbyApp, '/'>>>();
const single = some<Client<AppApi<LobbyApp, '/one/'>>>();

hear(client, 'lobby', 'lobby', ({ action }) => {
  action satisfies 'create' | 'update' | 'delete';
}) satisfies () => void;
hear(single, null, 'lobby', (event) => {
  same<typeof event, Lobby['subscriptions']['lobby']['event']>();
});
// @ts-expect-error no such request id
hear(client, 'lobby', 'lobbi', () => {});
// @ts-expect-error the consumer of this stream subscribes to nothing
hear(client, 'rooms', 'lobby', () => {});
// @ts-expect-error no such stream
hear(client, 'attic', 'lobby', () => {});
// @ts-expect-error a stream has to be named
hear(client, null, 'lobby', () => {});
// @ts-expect-error there are no streams
hear(single, 'lobby', 'lobby', () => {});
