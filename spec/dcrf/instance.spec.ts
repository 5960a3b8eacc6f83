import { expect } from 'chai';
import { type App, createApp, demultiplexer, path } from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { container as rootContainer } from 'tsyringe';
import { SubscriptionIndex } from '#signalbox/observers/subscriptions.js';
import { Country } from '../support/countries.js';
import { useDatabase } from '../support/database.js';
import { deleted, event, subscribed, unsubscribed } from '../support/frames.js';
import { fill, removeThing, save, Thing, thingModels } from '../support/things.js';
import { CountryConsumer, InstanceConsumer, subscribe, ThingConsumer } from './instance-support.js';

const alpha = { id: 1, name: 'alpha', shelf: 1 };
const beta = { id: 2, name: 'beta', shelf: 1 };

describe('DCRF 19: ObserverModelInstanceMixin', () => {
  const database = useDatabase('dcrf_instance', [...thingModels, Country]);
  let app: App;
  let heard: SubscriptionIndex;
  let ann: TestConnection;

  beforeEach(async () => {
    await fill(database.orm);
    const container = rootContainer.createChildContainer();
    heard = new SubscriptionIndex();
    container.registerInstance(SubscriptionIndex, heard);
    app = createApp({
      orm: database.orm,
      container,
      routes: [
        path('/ws/things/', ThingConsumer),
        path('/ws/instance/', InstanceConsumer),
        path('/ws/mux/', demultiplexer({ things: InstanceConsumer, countries: CountryConsumer })),
      ],
    });
    ann = await connect(app, '/ws/instance/');
  });
  afterEach(() => app.close());

  it('S261 (differs) retrieves, subscribes, and tells an update and a delete; an absent row is "Not found."', async () => {
    await using bob = await connect(app, '/ws/things/');
    expect(await bob.request('retrieve', { pk: 100, request_id: 1 })).to.deep.equal({
      errors: ['Not found.'],
      data: null,
      action: 'retrieve',
      response_status: 404,
      request_id: 1,
      code: 'not_found',
    });
    expect(await bob.request('retrieve', { pk: 1 })).to.deep.include({ data: { ...alpha, count: 0 } });
    expect(await bob.request('subscribe_instance', { pk: 1, request_id: 4 })).to.deep.equal(subscribed(4));
    expect(await bob.request('rename_async', { pk: 1, name: 'thenewname', request_id: 5 })).to.deep.equal({
      errors: [],
      data: { pk: 1 },
      action: 'rename_async',
      response_status: 200,
      request_id: 5,
    });
    expect(await bob.receive()).to.deep.equal(event('update', { ...alpha, name: 'thenewname', count: 0 }, 4));
    await removeThing(database.orm, 1);
    expect(await bob.receive()).to.deep.equal(deleted(4, 1));
  });

  it('S262 keeps the subscriptions of two consumers of two models apart', async () => {
    const em = database.orm.em.fork();
    const country = em.create(Country, { code: '1', name: 'one' });
    await em.flush();
    await using bob = await connect(app, '/ws/mux/');
    expect(await subscribe(bob.channel('countries'), '1', 4)).to.equal(201);
    expect(await subscribe(bob.channel('things'), 1, 4)).to.equal(201);
    await save(database.orm, 1, { count: 1 });
    expect(await bob.channel('things').receive()).to.deep.equal(event('update', alpha, 4));
    await bob.channel('countries').expectSilence();
    country.name = 'uno';
    await em.flush();
    expect(await bob.channel('countries').receive()).to.deep.equal(event('update', { code: '1', name: 'uno' }, 4));
    await bob.channel('things').expectSilence();
  });

  it('S264 tells two rows under the ids of their own subscriptions', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, 2, 5);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    await save(database.orm, 2, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', beta, 5));
  });

  it('S265 tells what another connection changes and deletes', async () => {
    const [a, b] = [await connect(app, '/ws/things/'), await connect(app, '/ws/things/')];
    await subscribe(a, 1, 4);
    expect(await b.request('patch', { pk: 1, data: { count: 5 } })).to.deep.include({ data: { ...alpha, count: 5 } });
    expect(await a.receive()).to.deep.equal(event('update', { ...alpha, count: 5 }, 4));
    expect(await b.request('patch', { pk: 2, data: { count: 5 } })).to.include({ response_status: 200 });
    await a.expectSilence();
    expect(await b.request('delete', { pk: 1 })).to.deep.include({ data: null, response_status: 204 });
    expect(await a.receive()).to.deep.equal(deleted(4, 1));
    await b.expectSilence();
  });

  it('S266 replies first, then tells the subscriber of its own change', async () => {
    await using bob = await connect(app, '/ws/things/');
    await subscribe(bob, 1, 'sub');
    const replied = (action: string, requestId: string, data: unknown, status = 200) => ({
      errors: [],
      data,
      action,
      response_status: status,
      request_id: requestId,
    });
    const told = async (frame: object) => {
      bob.send(frame);
      return [await bob.receive(), await bob.receive()];
    };
    const patched = { ...alpha, count: 5 };
    expect(await told({ action: 'patch', pk: 1, data: { count: 5 }, request_id: 'patch' })).to.deep.equal([
      replied('patch', 'patch', patched),
      event('update', patched, 'sub'),
    ]);
    expect(await told({ action: 'rename_async', pk: 1, name: 'ra', request_id: 'ra' })).to.deep.equal([
      replied('rename_async', 'ra', { pk: 1 }),
      event('update', { ...patched, name: 'ra' }, 'sub'),
    ]);
    expect(await told({ action: 'delete', pk: 1, request_id: 'del' })).to.deep.equal([
      replied('delete', 'del', null, 204),
      deleted('sub', 1),
    ]);
    await bob.expectSilence();
  });

  it('S266 replies first also to requests that come at once', async () => {
    await using bob = await connect(app, '/ws/things/');
    await subscribe(bob, 1, 'sub');
    bob.send({ action: 'patch', pk: 1, data: { count: 5 }, request_id: 'patch' });
    bob.send({ action: 'rename_async', pk: 1, name: 'ra', request_id: 'ra' });
    bob.send({ action: 'delete', pk: 1, request_id: 'del' });
    await bob.reply('del');
    await app.idle();
    const order = bob.frames.slice(1).map(({ action, request_id: id }) => `${action} ${id}`);
    const ofSubscription = (line: string) => line.endsWith(' sub');
    expect(order.filter((line) => !ofSubscription(line))).to.deep.equal([
      'patch patch',
      'rename_async ra',
      'delete del',
    ]);
    expect(order.filter(ofSubscription)).to.deep.equal(['update sub', 'update sub', 'delete sub']);
    expect(order.indexOf('update sub')).to.be.greaterThan(order.indexOf('patch patch'));
    expect(order.lastIndexOf('update sub')).to.be.greaterThan(order.indexOf('rename_async ra'));
    expect(order.indexOf('delete sub')).to.be.greaterThan(order.indexOf('delete del'));
  });

  it('S267 two rows on one connection, each event with its own id', async () => {
    await using bob = await connect(app, '/ws/things/');
    await subscribe(bob, 1, 4);
    await subscribe(bob, 2, 5);
    await bob.request('rename_async', { pk: 1, name: 'new name' });
    expect(await bob.receive()).to.deep.equal(event('update', { ...alpha, name: 'new name', count: 0 }, 4));
    await bob.request('rename_async', { pk: 2, name: 'new name 2' });
    expect(await bob.receive()).to.deep.equal(event('update', { ...beta, name: 'new name 2', count: 0 }, 5));
  });

  it('S269 (differs) answers a subscription to an absent row with "Not found."', async () => {
    expect(await ann.request('subscribe_instance', { pk: 100, request_id: 4 })).to.deep.equal({
      errors: ['Not found.'],
      data: null,
      action: 'subscribe_instance',
      response_status: 404,
      request_id: 4,
      code: 'not_found',
    });
  });

  it('S270 (differs) answers a subscription without a request id with 400', async () => {
    for (const frame of [
      { action: 'subscribe_instance', pk: 1 },
      { action: 'subscribe_instance', pk: 1, request_id: null },
    ]) {
      ann.send(frame);
      expect(await ann.receive()).to.deep.equal({
        errors: ['A subscription needs a request_id.'],
        data: null,
        action: 'subscribe_instance',
        response_status: 400,
        request_id: null,
        code: 'parse_error',
      });
    }
    await save(database.orm, 1, { count: 1 });
    await ann.expectSilence();
  });

  it('S271 (differs) answers a subscription without a key with 400', async () => {
    expect(await ann.request('subscribe_instance', { request_id: 1 })).to.deep.include({
      errors: [{ pk: ['This field is required.'] }],
      response_status: 400,
      request_id: 1,
    });
  });

  it('S272 (differs) answers a request id that is a list with 400', async () => {
    ann.send({ action: 'subscribe_instance', pk: 1, request_id: [1] });
    expect(await ann.receive()).to.deep.equal({
      errors: ['The request_id has to be a string or a number.'],
      data: null,
      action: 'subscribe_instance',
      response_status: 400,
      request_id: null,
      code: 'parse_error',
    });
  });

  it('S274 tells a row once for each request id', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, 1, 5);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 5));
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    expect(await ann.receive()).to.deep.equal(deleted(5, 1));
  });

  it('S275 (differs) 1 and 1.0 are one request id, "1" is another, and true is none', async () => {
    await subscribe(ann, 1, 1);
    ann.send({ action: 'subscribe_instance', pk: 1, request_id: true });
    expect(await ann.receive()).to.include({ response_status: 400, request_id: null });
    ann.sendText('{"action": "subscribe_instance", "pk": 1, "request_id": 1.0}');
    expect(await ann.receive()).to.deep.equal(subscribed(1));
    await subscribe(ann, 1, '1');
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha));
    expect(await ann.receive()).to.deep.equal(event('update', alpha, '1'));
    await ann.expectSilence();
  });

  it('S276 one request id may hold two rows, and ends for both', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, 2, 4);
    await save(database.orm, 2, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', beta, 4));
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: 4 })).to.deep.equal(unsubscribed(4));
    await save(database.orm, 2, { count: 2 });
    await ann.expectSilence();
  });

  it('S277 tells nothing after an unsubscription', async () => {
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: 4 })).to.deep.equal(unsubscribed(4));
    await save(database.orm, 1, { count: 2 });
    await ann.expectSilence();
  });

  it('S279 an unsubscription without a request id ends all of the row, and none of another row', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, '1', 5);
    await subscribe(ann, 2, 6);
    ann.send({ action: 'unsubscribe_instance', pk: 1 });
    expect(await ann.receive()).to.deep.equal(unsubscribed(null));
    await save(database.orm, 1, { count: 1 });
    await save(database.orm, 2, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', beta, 6));
    await ann.expectSilence();
  });

  it('S280 of two request ids, one ends and the other goes on', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, 1, 5);
    await ann.request('unsubscribe_instance', { pk: 1, request_id: 4 });
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 5));
    await ann.expectSilence();
  });

  it('S281 (differs) the other one goes on after an event too', async () => {
    await subscribe(ann, 1, 4);
    await subscribe(ann, 1, 5);
    await save(database.orm, 1, { count: 1 });
    await ann.receive();
    await ann.receive();
    await ann.request('unsubscribe_instance', { pk: 1, request_id: 4 });
    await save(database.orm, 1, { count: 2 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 5));
    await ann.expectSilence();
  });

  it('S282 (differs) ending an id that never subscribed ends nothing else', async () => {
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { count: 1 });
    await ann.receive();
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: 999 })).to.deep.equal(unsubscribed(999));
    await save(database.orm, 1, { count: 2 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
  });

  it('S284 a row that is created again under its old key is a create', async () => {
    await subscribe(ann, 1, 4);
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    const em = database.orm.em.fork();
    em.create(Thing, { id: 1, name: 'again', shelf: 7 });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'again', shelf: 7 }, 4));
  });

  it('S293 (differs) tells nothing of a write that changes nothing, which is answered like any other', async () => {
    await using bob = await connect(app, '/ws/things/');
    await subscribe(bob, 1, 4);
    const same = { ...alpha, count: 0 };
    for (const action of ['update', 'patch'])
      expect(await bob.request(action, { pk: 1, data: same })).to.deep.include({ data: same, response_status: 200 });
    expect(await bob.request('patch', { pk: 1, data: {} })).to.deep.include({ data: same, response_status: 200 });
    expect(await bob.request('rename_async', { pk: 1, name: 'alpha' })).to.include({ response_status: 200 });
    await bob.expectSilence();
  });

  it('S296 a disconnect leaves all groups', async () => {
    expect(heard.groups.size).to.equal(0);
    await subscribe(ann, 3, 4);
    expect(heard.groups.size).to.equal(1);
    ann.close();
    await ann.ended;
    expect(heard.groups.size).to.equal(0);
  });
});
