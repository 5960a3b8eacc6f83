import { expect } from 'chai';
import dcrfClient from 'dcrf-client';
import type { App } from 'signalbox';
import { WebSocket } from 'ws';
import { Inbox } from '#signalbox/testing/inbox.js';
import { createChat } from '../client/chat.js';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { Room } from '../support/entities.js';

interface EventFrame {
  readonly payload: { readonly data: { readonly text: string } };
}

/** What docs/dcrf-client.md shows, as it stands there. */
const dcrf = dcrfClient.default;

describe('The guide to dcrf-client', () => {
  const database = useDatabase('dcrf_client_guide');
  let app: App;
  let client: ReturnType<typeof dcrf.connect>;
  let heard: Inbox<unknown>;

  beforeEach(async () => {
    app = createChat(database.orm);
    const { port } = await app.listen({ port: 0, host: '127.0.0.1' });
    client = connect(`ws://127.0.0.1:${port}/ws/chat/`);
    heard = new Inbox();
    const em = database.orm.em.fork();
    for (const name of ['red', 'blue']) em.create(Room, { name });
    await em.flush();
  });
  afterEach(async () => {
    client.close();
    await app.close();
  });

  function connect(url: string) {
    return dcrf.connect(url, {
      pkField: 'id',
      websocket: { WebSocket },
    });
  }

  it('calls the actions of a model', async () => {
    const rooms = await client.list('rooms');
    const room = await client.create('rooms', { name: 'green' });
    await client.patch('rooms', 3, { name: 'lime' });
    await client.delete('rooms', 3);

    expect(rooms).to.have.length(2);
    expect(room).to.deep.equal({ id: 3, name: 'green', archived: false });
    expect(await client.list('rooms')).to.have.length(2);
  });

  it('calls any other action', async () => {
    const message = await client.request('rooms', { action: 'create_message', room: 1, text: 'hi' });

    expect(message).to.deep.equal({ id: 1, text: 'hi' });
  });

  it('tells what was refused', async () => {
    const refused = await client.retrieve('rooms', 100).catch((reply) => reply);
    refused.response_status; // 404
    refused.errors; // ['Not found.']
    refused.code; // 'not_found'

    expect(refused).to.include({ response_status: 404, code: 'not_found' });
    expect(refused.errors).to.deep.equal(['Not found.']);
  });

  it('follows a row', async () => {
    const events = heard;
    const subscription = client.subscribe('rooms', 1, (room, action) => {
      events.put(`${action} ${room.name ?? room.id}`);
    });
    await subscription;
    await client.patch('rooms', 1, { name: 'crimson' });
    await client.delete('rooms', 1);

    expect(await events.take(patience)).to.equal('update crimson');
    expect(await events.take(patience)).to.equal('delete 1');
  });

  it('ends what it follows', async () => {
    const events = heard;
    const subscription = client.subscribe('rooms', 1, (room) => events.put(room), 'my-room');
    await subscription;
    subscription.cancel();
    await client.request('rooms', { action: 'unsubscribe_instance', pk: 1 }, 'my-room');

    await client.patch('rooms', 1, { name: 'crimson' });
    expect(events.size).to.equal(0);
  });

  it('follows an observer of its own', async () => {
    const events = heard;
    const requestId = 'messages-of-room-1';
    const follow = () => client.request('rooms', { action: 'subscribe_to_room', room: 1 }, requestId);
    await follow();
    const selector = { stream: 'rooms', payload: { action: 'create', request_id: requestId } };
    client.dispatcher.listen<object, EventFrame>(selector, ({ payload }) => events.put(payload.data.text));
    client.transport.on('reconnect', follow);
    await client.request('rooms', { action: 'create_message', room: 1, text: 'hi' });

    expect(await events.take(patience)).to.equal('hi');
  });
});
