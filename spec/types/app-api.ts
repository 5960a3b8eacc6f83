import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import {
  Action,
  type ActionApi,
  type ActionContext,
  ApiConsumer,
  type App,
  type AppApi,
  Consumer,
  type ConsumerApi,
  createApp,
  demultiplexer,
  type Json,
  type ObserverApi,
  path,
} from 'signalbox';
import { type Api, MessageConsumer, RoomConsumer } from './chat.js';
import { same, some } from './support.js';

// The whole view that a client has of the chat

type RoomJson = { id: number; name: string; host: number; visits: string };
type MessageJson = {
  id: number;
  text: string;
  sentAt: string;
  user: { id: number; username: string };
  age: number;
};
type NoKwargs = Record<never, never>;
type Written<Data> = { readonly action: 'create' | 'update'; readonly data: Data };
type Deleted = { readonly action: 'delete'; readonly data: { pk: number } };

type RoomActions = {
  readonly list: ActionApi<NoKwargs, RoomJson[], never>;
  readonly retrieve: ActionApi<{ pk: number }, RoomJson, never>;
  readonly create: ActionApi<{ data: { name: string } }, RoomJson, never>;
  readonly update: ActionApi<{ pk: number; data: { name: string } }, RoomJson, never>;
  readonly patch: ActionApi<{ pk: number; data: { name?: string } }, RoomJson, never>;
  readonly delete: ActionApi<{ pk: number }, null, never>;
  readonly subscribeInstance: ActionApi<{ pk: number }, null, never>;
  readonly unsubscribeInstance: ActionApi<{ pk: number }, null, never>;
  readonly createMessage: ActionApi<{ room: number; text: string }, MessageJson, never>;
  readonly archive: ActionApi<{ pk: number }, RoomJson, never>;
  readonly export: ActionApi<{ room: number }, { room: number; finishedAt: string }, never>;
  readonly countdown: ActionApi<{ room: number }, { done: boolean }, { left: number }>;
  readonly subscribeToRoom: ActionApi<{ room: number }, null, never>;
};
type RoomObservers = {
  readonly onInstance: ObserverApi<{ pk: number }, Written<RoomJson> | Deleted>;
  readonly onMessage: ObserverApi<{ room: number }, Written<MessageJson> | Deleted>;
  readonly onAnyMessage: ObserverApi<{ room: number }, Written<unknown> | Deleted>;
};

same<keyof Api, 'rooms' | 'messages'>();
same<keyof Api['rooms']['actions'], keyof RoomActions>();
same<Api['rooms']['actions'], RoomActions>();
same<Api['rooms']['observers'], RoomObservers>();
same<Api['messages']['actions']['list'], ActionApi<NoKwargs, MessageJson[], never>>();
same<keyof Api['messages']['actions'], 'list' | 'subscribeInstance' | 'unsubscribeInstance'>();
same<keyof Api['messages']['observers'], 'onInstance'>();
// @ts-expect-error one kwarg is of another type
same<Api['rooms']['actions']['createMessage'], ActionApi<{ room: string; text: string }, MessageJson, never>>();
// @ts-expect-error a bigint is text in JSON
same<Api['rooms']['actions']['archive']['reply'], Omit<RoomJson, 'visits'> & { visits: bigint }>();
// @ts-expect-error a part is no reply
same<Api['rooms']['actions']['countdown'], ActionApi<{ room: number }, { left: number }, { done: boolean }>>();
// @ts-expect-error Delete is not mixed into the messages
some<Api['messages']['actions']>().delete;
// @ts-expect-error there is no such stream
some<Api>().users;
// @ts-expect-error hooks of the framework are no actions
some<Api['rooms']['actions']>().getQuery;
// @ts-expect-error nor is subscribe
some<Api['rooms']['actions']>().subscribe;
// @ts-expect-error groups are protected
some<Api['rooms']['actions']>().groupsOfRoom;
// @ts-expect-error an observer is no action
some<Api['rooms']['actions']>().onMessage;

// Several routes, with and without a demultiplexer

@Consumer()
class Clock extends ApiConsumer {
  readonly since = new Date();
  @Action() now(_context: ActionContext) {
    return { now: new Date() };
  }
}

const several = createApp({
  orm: some(),
  routes: [
    path('/ws/clock/', Clock),
    path('/ws/chat/:room/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer })),
  ],
});
same<AppApi<typeof several, '/ws/clock/'>, ConsumerApi<Clock>>();
same<AppApi<typeof several, '/ws/clock/'>['actions'], { readonly now: ActionApi<NoKwargs, { now: string }, never> }>();
same<AppApi<typeof several, '/ws/chat/:room/'>['rooms']['actions'], RoomActions>();
// @ts-expect-error the other route
some<AppApi<typeof several, '/ws/clock/'>>().rooms;
// @ts-expect-error no such route
some<AppApi<typeof several, '/ws/clok/'>>();

const single = createApp({ orm: some(), routes: [path('/ws/clock/', Clock)] });
same<AppApi<typeof single>, ConsumerApi<Clock>>();
same<keyof AppApi<typeof single>['actions'], 'now'>();
same<keyof AppApi<typeof single>['observers'], never>();
single satisfies App;
// @ts-expect-error properties are no actions
some<AppApi<typeof single>['actions']>().since;
// @ts-expect-error not a consumer
path('/ws/clock/', Date);
// @ts-expect-error not a consumer
demultiplexer({ clock: Date });
// @ts-expect-error the path comes first
path(Clock, '/ws/clock/');
// @ts-expect-error there is nothing without routes
createApp({ orm: some() });

// Attached to a server of the application's own

single.attach(some<Server>());
single.attach(some<TlsServer>());
(await single.listen({ port: 0, host: '127.0.0.1' })).port satisfies number;
// @ts-expect-error an address is none
single.attach({ port: 8000 });
// @ts-expect-error misspelt option
single.listen({ prot: 8000 });

// Values as JSON shows them

class Money {
  constructor(readonly cents: bigint) {}
  toJSON() {
    return { euro: Number(this.cents) / 100, at: new Date() };
  }
}
class Row {
  readonly id: number = 1;
  readonly missing?: Date;
  readonly perhaps: string | undefined;
  price = new Money(1n);
  list: readonly (Date | undefined)[] = [];
  pair: [Date, number] = [new Date(), 1];
  byName: Record<string, bigint> = {};
  anything: unknown;
  method() {}
  get got() {
    return null;
  }
}
same<
  Json<Row>,
  {
    id: number;
    price: { euro: number; at: string };
    list: readonly (string | null)[];
    pair: [string, number];
    byName: { [name: string]: string };
    anything: unknown;
    got: null;
    missing?: string;
    perhaps?: string;
  }
>();
same<Json<Date>, string>();
same<Json<undefined>, null>();
same<Json<void>, null>();
same<Json<'a' | 1 | true | null>, 'a' | 1 | true | null>();
// @ts-expect-error a method does not survive JSON
some<Json<Row>>().method;
// @ts-expect-error nor does a Date
same<Json<Row>['pair'], [Date, number]>();
