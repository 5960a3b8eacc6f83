// A client in another repository: of the server it has one file, written by `signalbox api:types`.
import { createClient } from 'signalbox/client';
import type { Api } from './api.js';

const client = createClient<Api>('wss://example.org/ws/chat/');

const [room] = await client.rooms.list();
room?.visits satisfies string | undefined;
(await client.rooms.createMessage({ room: 1, text: 'hi' })).user.username satisfies string;
await client.rooms.patch({ pk: 1, data: {} });
for await (const { left } of client.rooms.countdown({ room: 1 })) left satisfies number;
client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => {
  if (event.action !== 'delete') event.data.text satisfies string;
});
// @ts-expect-error misspelt kwarg
await client.rooms.createMessage({ room: 1, txet: 'hi' });
// @ts-expect-error a room is named by its number
await client.rooms.archive({ pk: 'red' });
// @ts-expect-error no such action
await client.rooms.destroy({ pk: 1 });
// @ts-expect-error no such observer
client.rooms.$on('onMesage', 'subscribeToRoom', { room: 1 });

// A class of one's own, as in a spec or where there is none.
createClient<Api>('wss://example.org/ws/chat/', { WebSocket: class Spied extends WebSocket {} });
