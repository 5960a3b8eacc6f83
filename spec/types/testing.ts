import { type AppApi, createApp, path } from 'signalbox';
import { connect, type TestChannel, type TestConnection } from 'signalbox/testing';
import { type Api, app, MessageConsumer } from './chat.js';
import { same, some } from './support.js';

type RoomJson = { id: number; name: string; host: number; visits: string };

// With the type of the application, streams, requests and replies are typed

const ann = await connect<Api>(app, '/ws/chat/', { user: some() });
const rooms = ann.channel('rooms');
same<typeof ann, TestConnection<Api>>();
same<typeof rooms, TestChannel<Api['rooms']>>();

same<Awaited<ReturnType<typeof listed>>, RoomJson[]>();
async function listed() {
  return (await rooms.request('list')).data;
}
const made = await rooms.request('create_message', { room: 1, text: 'hi' });
made.data.user.username satisfies string;
made.response_status satisfies number;
await rooms.request('archive', { pk: 1, request_id: 7 }, { timeout: 100 });
await rooms.request('subscribe_instance', { request_id: 'a', pk: 1 });
await rooms.request('list', { request_id: 1 });
// What is wrong on purpose is sent as it is
rooms.send({ action: 'create_message', request_id: 1, txet: 'hi' });
same<typeof rooms.untyped, TestChannel>();
await rooms.untyped.request('create_message', { txet: 'hi' });

// @ts-expect-error there is no such stream
ann.channel('users');
// @ts-expect-error there is no such action
await rooms.request('destroy', { pk: 1 });
// @ts-expect-error on the wire it is create_message
await rooms.request('createMessage', { room: 1, text: 'hi' });
// @ts-expect-error misspelt kwarg
await rooms.request('create_message', { room: 1, txet: 'hi' });
// @ts-expect-error it needs kwargs
await rooms.request('create_message');
// @ts-expect-error a room is named by its number
await rooms.request('archive', { pk: 'red' });
// @ts-expect-error a date is text in JSON
made.data.sentAt.getTime();
// @ts-expect-error an observer is no action
await rooms.request('on_message', {});

// Without streams the connection is the channel

const single = createApp({ orm: some(), routes: [path('/ws/', MessageConsumer)] });
const bob = await connect<AppApi<typeof single>>(single, '/ws/');
(await bob.request('list')).data[0]?.text satisfies string | undefined;
// @ts-expect-error Delete is not mixed in
await bob.request('delete', { pk: 1 });
// @ts-expect-error there are no streams
bob.channel('messages');

// Without a type everything can be sent

const eve = await connect(app, '/ws/chat/');
same<typeof eve, TestConnection>();
const any = eve.channel('users');
same<typeof any, TestChannel>();
const reply = await any.request('destroy', { pk: 'red' }, { timeout: 100 });
same<typeof reply.data, unknown>();
await any.request('list');
await eve.request('list', { limit: 1 });
