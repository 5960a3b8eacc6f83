// The client of the chat in a browser project, inferred from the declarations of the server alone.
import {
  type ActionCall,
  binaryFrames,
  type Client,
  type ConnectionStatus,
  createClient,
  live,
  SignalboxError,
  type Subscription,
} from 'signalbox/client';
import type { Api } from '../chat.js';

type NoKwargs = Record<string, never>;
type Room = { id: number; name: string; host: number; visits: string };
type Message = { id: number; text: string; sentAt: string; user: { id: number; username: string }; age: number };

const client = createClient<Api>('wss://example.org/ws/chat/', { timeout: 5_000, token: async () => 'secret' });

// Actions

const rooms = await client.rooms.list();
rooms satisfies Room[];
rooms[0]?.visits satisfies string | undefined;
// @ts-expect-error a bigint is text in JSON
rooms[0]?.visits satisfies bigint | undefined;
(await client.rooms.retrieve({ pk: 1 })) satisfies Room;
(await client.rooms.create({ data: { name: 'red' } })) satisfies Room;
(await client.rooms.patch({ pk: 1, data: {} })) satisfies Room;
(await client.rooms.delete({ pk: 1 })) satisfies null;
(await client.messages.list({}, { retry: true, signal: new AbortController().signal })) satisfies Message[];

const message = await client.rooms.createMessage({ room: 1, text: 'hi' }, { timeout: 0 });
message.sentAt satisfies string;
// @ts-expect-error a Date is text in JSON
message.sentAt.getTime();
// @ts-expect-error the password is not shown
message.user.password;
// @ts-expect-error misspelt kwarg
client.rooms.createMessage({ room: 1, txet: 'hi' });
// @ts-expect-error a kwarg is missing
client.rooms.createMessage({ room: 1 });
// @ts-expect-error no kwargs at all
client.rooms.createMessage();
// @ts-expect-error a room is named by its number
client.rooms.archive({ pk: 'red' });
// @ts-expect-error it takes no kwargs
client.rooms.list({ name: 'red' });
// @ts-expect-error no such action
client.rooms.destroy({ pk: 1 });
// @ts-expect-error the other stream has no such action
client.messages.create({ data: { text: 'hi' } });
// @ts-expect-error no such stream
client.users;
// @ts-expect-error an observer is no action
client.rooms.onMessage;
// @ts-expect-error misspelt option
client.rooms.list({}, { timout: 1 });
// @ts-expect-error misspelt option
createClient<Api>('wss://example.org/', { hartbeat: 1 });

// Parts

for await (const { left } of client.rooms.countdown({ room: 1 })) left satisfies number;
(await client.rooms.countdown({ room: 1 })).done satisfies boolean;
client.rooms.countdown({ room: 1 }) satisfies ActionCall<{ done: boolean }, { left: number }>;
const end = await client.rooms.countdown({ room: 1 })[Symbol.asyncIterator]().next();
if (end.done) end.value.done satisfies boolean;
else end.value.left satisfies number;
// @ts-expect-error an action without parts is no iterable
for await (const _ of client.rooms.archive({ pk: 1 }));

// Events

const subscription = client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => {
  if (event.action === 'delete') event.data.pk satisfies number;
  else event.data.sentAt satisfies string;
  // @ts-expect-error a delete tells the key only
  event.data.text;
});
(await subscription.ready) satisfies null;
subscription.state satisfies 'pending' | 'live' | 'refused' | 'revoked' | 'ended';
subscription.onResync((reply) => reply satisfies null) satisfies () => void;
subscription.cancel();
for await (const event of client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 })) {
  event.action satisfies 'create' | 'update' | 'delete';
}
client.rooms.$onInstance({ pk: 1 }, (event) => {
  if (event.action !== 'delete') event.data.visits satisfies string;
});
client.messages.$onInstance({ pk: 1 }).onEvent((event) => {
  if (event.action !== 'delete') event.data.text satisfies string;
});
// @ts-expect-error no such observer
client.rooms.$on('onMesage', 'subscribeToRoom', { room: 1 });
// @ts-expect-error no such action
client.rooms.$on('onMessage', 'subscribeToRom', { room: 1 });
// @ts-expect-error the kwargs of the action
client.rooms.$on('onMessage', 'subscribeToRoom', { room: 'red' });
// @ts-expect-error the other stream observes rows only
client.messages.$on('onMessage', 'list', {});
// @ts-expect-error a row is named by its number
client.rooms.$onInstance({ pk: 'red' });

// Collections

const messages = live(client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), {
  list: () => client.messages.list(),
  compare: (one, other) => one.id - other.id,
  filter: ({ text }) => text !== '',
});
messages.getSnapshot().rows satisfies readonly Message[];
messages.getSnapshot().status satisfies 'loading' | 'ready' | 'stale' | 'failed';
live(client.rooms.$onInstance({ pk: 1 }), {
  // @ts-expect-error these are no rooms
  list: () => client.messages.list(),
});
declare const codes: Subscription<
  { action: 'create'; data: { code: string } } | { action: 'delete'; data: { pk: string } }
>;
// @ts-expect-error rows without an id need a key
live(codes, { list: async () => [] });
live(codes, { list: async () => [], key: ({ code }) => code });

// What is the client's own

client.$status satisfies ConnectionStatus;
client.$onStatus((status, { code }) => [
  status satisfies ConnectionStatus,
  code satisfies number | undefined,
]) satisfies () => void;
(await client.$request('rooms', { action: 'list' })) satisfies unknown;
(await client.$request<Room[]>('rooms', { action: 'list' }))[0]?.name satisfies string | undefined;
// @ts-expect-error a payload names its action
client.$request('rooms', { name: 'list' });
client.$subscribe<{ n: number }>(null, { action: 'watch' }, ({ n }) => n satisfies number) satisfies Subscription<{
  n: number;
}>;
client.$sendBinary(new Uint8Array()) satisfies boolean;
binaryFrames(client, 'rooms').send(new Uint8Array()) satisfies boolean;
binaryFrames(client, 'rooms').onFrame((data) => data satisfies Uint8Array) satisfies () => void;
// @ts-expect-error no such stream
binaryFrames(client, 'halls');
// @ts-expect-error a stream has to be named
binaryFrames(client);
client.$onFrame((payload, stream) => [payload satisfies unknown, stream satisfies string | null]);

try {
  await client.rooms.archive({ pk: 1 });
} catch (error) {
  if (error instanceof SignalboxError && error.isRetryable) error.retryAfter satisfies number | undefined;
}

// A route without streams, and no types at all

declare const clock: Client<{
  readonly actions: {
    readonly now: { readonly kwargs: Record<never, never>; readonly reply: { now: string }; readonly part: never };
  };
  readonly observers: Record<never, never>;
}>;
(await clock.now()).now satisfies string;
(await clock.now({} satisfies NoKwargs)).now satisfies string;
// @ts-expect-error nobody observes rows there
clock.$onInstance({ pk: 1 });

const untyped = createClient(() => '/ws/');
// @ts-expect-error of what it knows nothing, it says so
untyped.rooms;
binaryFrames(untyped, 'any').send(new Uint8Array());
binaryFrames(clock).send(new Uint8Array());
untyped.$close();
