import { expect } from 'chai';
import { Action, type App, Consumer, createApp, demultiplexer, path } from 'signalbox';
import { connect, type TestChannel } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { deleted, event, subscribed, unsubscribed } from '../support/frames.js';
import { testProviders } from '../support/providers.js';
import { createThing, fill, removeThing, save, thingModels } from '../support/things.js';
import { subscribe, ThingConsumer } from './instance-support.js';
import { ByShelf } from './observer-consumers.js';

@Consumer()
class ShelfConsumer extends ByShelf {
  @Action()
  *countdown() {
    yield { left: 2 };
    yield { left: 1 };
    return { left: 0 };
  }

  @Action()
  crash() {
    throw new Error('secret');
  }
}

const alpha = { id: 1, name: 'alpha', shelf: 1, count: 0 };
const uuid = '2a0c6d4e-6d0c-4b7e-9f58-0a8f4d7b7c11';

describe('DCRF 20: the multiplexer and the dcrf-client protocol', () => {
  const database = useDatabase('dcrf_multiplexer', thingModels);
  let app: App;
  let providers: ReturnType<typeof testProviders>;

  beforeEach(async () => {
    await fill(database.orm);
    providers = testProviders();
    app = createApp({
      orm: database.orm,
      container: providers.container,
      routes: [path('/ws/mux/', demultiplexer({ things: ThingConsumer, shelves: ShelfConsumer }))],
    });
  });
  afterEach(() => app.close());

  async function things(): Promise<TestChannel> {
    return (await connect(app, '/ws/mux/')).channel('things');
  }

  it('S297 wraps every frame in its stream, requests, replies, events and errors', async () => {
    await using ann = await connect(app, '/ws/mux/');
    ann.send({ stream: 'things', payload: { action: 'retrieve', pk: 1, request_id: 'u1' } });
    expect(await ann.receive()).to.deep.equal({
      stream: 'things',
      payload: { errors: [], data: alpha, action: 'retrieve', response_status: 200, request_id: 'u1' },
    });
    ann.send({ stream: 'shelves', payload: { action: 'countdown', request_id: 'u2' } });
    expect(await ann.receive()).to.have.nested.property('payload.response_status', 206);
    await ann.receive();
    expect(await ann.receive()).to.have.property('stream', 'shelves');
    ann.send({ stream: 'things', payload: { action: 'subscribe_instance', pk: 1, request_id: 'u3' } });
    expect(await ann.receive()).to.deep.equal({ stream: 'things', payload: subscribed('u3') });
    await save(database.orm, 1, { count: 2 });
    expect(await ann.receive()).to.deep.equal({
      stream: 'things',
      payload: event('update', { ...alpha, count: 2 }, 'u3'),
    });
    ann.send({ stream: 'things', payload: { action: 'nope', request_id: 'u4' } });
    expect(await ann.receive()).to.deep.equal({
      stream: 'things',
      payload: {
        errors: ['Method "nope" not allowed.'],
        data: null,
        action: 'nope',
        response_status: 405,
        request_id: 'u4',
        code: 'action_not_found',
      },
    });
  });

  it('S299 (differs) what fails in one stream is answered there; the others live', async () => {
    await using ann = await connect(app, '/ws/mux/');
    expect(await ann.channel('things').request('retrieve')).to.include({ response_status: 400 });
    expect(await ann.channel('shelves').request('crash')).to.include({ response_status: 500, code: 'server_error' });
    expect(await ann.channel('things').request('retrieve', { pk: 1 })).to.include({ response_status: 200 });
  });

  it('S300 takes the frames of dcrf-client 1.1.0 as they are, with their surplus data', async () => {
    const ann = await things();
    const data = { name: 'delta', shelf: 2 };
    const frames = [
      { action: 'list', data: {}, request_id: uuid },
      { action: 'retrieve', pk: 1, data: {}, request_id: uuid },
      { action: 'create', data, request_id: uuid },
      { action: 'update', pk: 4, data: { ...data, count: 1 }, request_id: uuid },
      { action: 'patch', pk: 4, data: { count: 2 }, request_id: uuid },
      { action: 'delete', pk: 4, data: {}, request_id: uuid },
      { action: 'subscribe_instance', request_id: uuid, pk: 1 },
      { action: 'unsubscribe_instance', request_id: uuid, pk: 1 },
    ];
    const statuses: number[] = [];
    for (const frame of frames) {
      ann.send(frame);
      const answer = await ann.receive();
      expect(answer).to.include({ request_id: uuid, action: frame.action });
      statuses.push(answer.response_status);
    }
    expect(statuses).to.deep.equal([200, 200, 201, 200, 200, 204, 201, 204]);
  });

  it('S301 replies first, then sends each event under its action and request id, a delete with its pk', async () => {
    const ann = await things();
    await subscribe(ann, 1, uuid);
    ann.send({ action: 'patch', pk: 1, data: { count: 5 }, request_id: 'patch' });
    expect(await ann.receive()).to.include({ request_id: 'patch', response_status: 200 });
    expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, count: 5 }, uuid));
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(uuid, 1));
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: uuid })).to.deep.equal(unsubscribed(uuid));
  });

  it('S301 takes a subscription again under its old id, also twice, and tells each event once', async () => {
    const first = await connect(app, '/ws/mux/');
    await subscribe(first.channel('things'), 1, uuid);
    first.close(1001);
    await first.ended;
    const ann = await things();
    expect(await subscribe(ann, 1, uuid)).to.equal(201);
    expect(await subscribe(ann, 1, uuid)).to.equal(201);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, count: 1 }, uuid));
    await ann.expectSilence();
    await ann.request('unsubscribe_instance', { pk: 1, request_id: uuid });
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: uuid })).to.deep.equal(unsubscribed(uuid));
    await save(database.orm, 1, { count: 2 });
    await ann.expectSilence();
  });

  it('S301 serves subscribe actions of its own, with creates among the events', async () => {
    await using ann = await connect(app, '/ws/mux/');
    const shelves = ann.channel('shelves');
    expect(await shelves.request('subscribe_shelf', { request_id: uuid, shelf: 7 })).to.deep.equal({
      errors: [],
      data: null,
      action: 'subscribe_shelf',
      response_status: 201,
      request_id: uuid,
    });
    await createThing(database.orm, 'delta', 7);
    expect(await shelves.receive()).to.deep.equal(event('create', { id: 4, name: 'delta', shelf: 7 }, uuid));
  });

  it('S301 streams: every part and the end succeed under one request id', async () => {
    await using ann = await connect(app, '/ws/mux/');
    const shelves = ann.channel('shelves');
    shelves.send({ action: 'countdown', request_id: uuid });
    const answers = [await shelves.receive(), await shelves.receive(), await shelves.receive()];
    expect(answers.map(({ response_status: status, data, request_id: id }) => [status, data, id])).to.deep.equal([
      [206, { left: 2 }, uuid],
      [206, { left: 1 }, uuid],
      [200, { left: 0 }, uuid],
    ]);
  });

  it('S302 (differs) a subscription lives as long as its connection, however long that is', async () => {
    const ann = await things();
    await subscribe(ann, 1, uuid);
    providers.clock.advance(7 * 86_400_000);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, count: 1 }, uuid));
  });
});
