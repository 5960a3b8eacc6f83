import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import dcrfClient from 'dcrf-client';
import { type App, createApp, demultiplexer, path } from 'signalbox';
import { type ClientOptions, WebSocket } from 'ws';
import { Inbox } from '#signalbox/testing/inbox.js';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { fill, removeThing, save, thingModels } from '../support/things.js';
import { ThingConsumer } from './instance-support.js';

interface Frame {
  readonly stream: string;
  readonly payload: { readonly action: string; readonly request_id: string; readonly response_status: number };
}

/** Every socket that the client opened, and every frame it got. */
const sockets: WebSocket[] = [];
let frames: Inbox<Frame>;

/** dcrf-client takes a class of its own where there is no browser. */
class SpiedWebSocket extends WebSocket {
  constructor(url: string, protocols: string[], options?: ClientOptions) {
    super(url, protocols, options);
    sockets.push(this);
    this.on('message', (data) => frames.put(JSON.parse(String(data))));
  }
}

const alpha = { id: 1, name: 'alpha', count: 0, shelf: 1 };

describe('dcrf-client 0.3.0 from npm, against a served application', () => {
  const database = useDatabase('dcrf_client', thingModels);
  let app: App;
  let http: Server;
  let client: ReturnType<typeof dcrfClient.default.connect>;
  let events: Inbox<{ readonly action: string; readonly data: object }>;

  beforeEach(async () => {
    frames = new Inbox();
    events = new Inbox();
    await fill(database.orm);
    app = createApp({ orm: database.orm, routes: [path('/ws/', demultiplexer({ things: ThingConsumer }))] });
    http = createServer();
    await app.attach(http);
    client = dcrfClient.default.connect(`ws://127.0.0.1:${await listening(http)}/ws/`, {
      pkField: 'id',
      websocket: { WebSocket: SpiedWebSocket, minReconnectionDelay: 1, maxReconnectionDelay: 1 },
    });
  });
  afterEach(async () => {
    client.close();
    await app.close();
    http.close();
    for (const socket of sockets.splice(0)) socket.terminate();
  });

  const note = (data: object, action: string): void => events.put({ action, data });

  it('lists, retrieves, creates, updates, patches and deletes', async () => {
    expect(await client.retrieve('things', 1)).to.deep.equal(alpha);
    expect(await client.list('things')).to.have.length(3);
    const delta = { id: 4, name: 'delta', count: 0, shelf: 2 };
    expect(await client.create('things', { name: 'delta', shelf: 2 })).to.deep.equal(delta);
    const values = { name: 'delta', count: 1, shelf: 3 };
    expect(await client.update('things', 4, values)).to.deep.equal({ id: 4, ...values });
    expect(await client.patch('things', 4, { count: 2 })).to.deep.equal({ id: 4, ...values, count: 2 });
    expect(await client.delete('things', 4)).to.equal(null);
    expect(await client.list('things')).to.have.length(3);
  });

  it('rejects with the frame of an error', async () => {
    const refused = await client.retrieve('things', 100).catch((payload: unknown) => payload);
    expect(refused).to.deep.include({ errors: ['Not found.'], response_status: 404, action: 'retrieve' });
    const invalid = await client.create('things', {}).catch((payload: unknown) => payload);
    expect(invalid).to.deep.include({ errors: [{ name: ['This field is required.'] }], response_status: 400 });
  });

  it('subscribes, and hears updates and the delete of the row', async () => {
    expect(await client.subscribe('things', 1, note)).to.equal(null);
    await client.patch('things', 1, { count: 5 });
    expect(await events.take(patience)).to.deep.equal({ action: 'update', data: { ...alpha, count: 5 } });
    await save(database.orm, 1, { count: 6 });
    expect(await events.take(patience)).to.deep.equal({ action: 'update', data: { ...alpha, count: 6 } });
    await removeThing(database.orm, 1);
    expect(await events.take(patience)).to.deep.equal({ action: 'delete', data: { id: 1 } });
  });

  it('hears no more after it cancelled', async () => {
    const subscription = client.subscribe('things', 1, note);
    await subscription;
    expect(subscription.cancel()).to.equal(true);
    await save(database.orm, 1, { count: 1 });
    await app.idle();
    expect(await client.retrieve('things', 1)).to.include({ count: 1 });
    expect(events.size).to.equal(0);
  });

  it('goes on with its subscriptions after a reconnection', async () => {
    await client.subscribe('things', 1, note, 'the-same-id');
    await frames.take(patience);
    sockets[0]?.terminate();
    const again = await frames.take(patience, ({ payload }) => payload.action === 'subscribe_instance');
    expect(again).to.have.nested.include({ 'payload.request_id': 'the-same-id', 'payload.response_status': 201 });
    expect(sockets).to.have.length(2);
    await save(database.orm, 1, { count: 7 });
    expect(await events.take(patience)).to.deep.equal({ action: 'update', data: { ...alpha, count: 7 } });
    expect(await client.retrieve('things', 2)).to.include({ name: 'beta' });
    expect(events.size).to.equal(0);
  });
});
