import { expect } from 'chai';
import { path, type Scope } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';
import { createThing, Person, removeThing, save, Thing, thing, thingModels, useThings } from '../support/things.js';
import { AllThings, ByShelf } from './observer-consumers.js';
import { Bare, Busy, Described, Dup, DupToo, Failing, Guarded, Notes, Underscored } from './observer-handlers.js';

describe('Bodies, handlers and delivery, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_model_observers', thingModels);
  const things = useThings(database, [
    path('/ws/all-things/', AllThings),
    path('/ws/shelf/', ByShelf),
    path('/ws/described/', Described),
    path('/ws/notes/', Notes),
    path('/ws/handler-raises/', Failing),
    path('/ws/underscore/', Underscored),
    path('/ws/dup/', Dup),
    path('/ws/dup-too/', DupToo),
    path('/ws/bare/', Bare),
    path('/ws/busy/', Busy),
    path('/ws/guarded/', Guarded),
  ]);

  it('S181 (differs) shows the key where there is no serializer', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    await createThing(database.orm, 'new');
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
  });

  it('S182 (differs) tells the key of a row that is gone', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    await createThing(database.orm, 'new');
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
    await removeThing(database.orm, 4);
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 4 }));
  });

  it('S184 (differs) tells consumers of two classes, each by its own observer, also once a client of one has left', async () => {
    await using bob = await connect(things.app, '/ws/shelf/');
    {
      await using ann = await connect(things.app, '/ws/all-things/');
      await ann.request('subscribe_all', { request_id: 1 });
      await bob.request('subscribe_shelf', { shelf: 1, request_id: 2 });
      await createThing(database.orm, 'new');
      expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
      expect(await bob.receive()).to.deep.equal(event('create', { id: 4, name: 'new', shelf: 1 }, 2));
      ann.close();
      await ann.ended;
    }
    await createThing(database.orm, 'newer');
    expect(await bob.receive()).to.deep.equal(event('create', { id: 5, name: 'newer', shelf: 1 }, 2));
  });

  it('S185 (differs) shows a row by the serializer, and of a deleted one the key', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await createThing(database.orm, 'test');
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'test', shelf: 1 }));
    await save(database.orm, 4, { name: 'test updated' });
    expect(await ann.receive()).to.deep.equal(event('update', { id: 4, name: 'test updated', shelf: 1 }));
    await removeThing(database.orm, 4);
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 4 }));
  });

  it('S186 (differs) sends one frame per subscription and event', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    expect(await ann.request('subscribe_all', { request_id: 1 })).to.deep.equal(done('subscribe_all', 201));
    await ann.request('subscribe_all', { request_id: 'two' });
    await createThing(database.orm, 'new');
    await save(database.orm, 1, { count: 3 });
    await removeThing(database.orm, 2);
    for (const [action, pk] of [
      ['create', 4],
      ['update', 1],
      ['delete', 2],
    ] as const) {
      expect(await ann.receive()).to.deep.equal(event(action, { pk }));
      expect(await ann.receive()).to.deep.equal(event(action, { pk }, 'two'));
    }
    await ann.expectSilence();
  });

  it('S187 (differs) refuses a subscription without a request id', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    ann.send({ action: 'subscribe_all' });
    expect(await ann.receive()).to.include({ response_status: 400, request_id: null, code: 'parse_error' });
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
  });

  it('S188 (differs) gives each event the request id of its subscription, also where the observer sends data of its own', async () => {
    await using ann = await connect(things.app, '/ws/dup/');
    await ann.request('watch', { request_id: 1 });
    await ann.request('watch', { request_id: 'two' });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { via: 'Dup' }));
    expect(await ann.receive()).to.deep.equal(event('update', { via: 'Dup' }, 'two'));
    await ann.expectSilence();
  });

  it('S188 (differs) sends frames of another shape where the observer writes them, once for each subscription', async () => {
    await using ann = await connect(things.app, '/ws/bare/');
    await ann.request('watch', { request_id: 1 });
    await ann.request('watch', { request_id: 'two' });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal({ body: { pk: 1 }, action: 'update', ids: [1] });
    expect(await ann.receive()).to.deep.equal({ body: { pk: 1 }, action: 'update', ids: ['two'] });
    await ann.expectSilence();
  });

  it('S189 (differs) tells every connection that subscribed', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await using bob = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    await bob.request('subscribe_all', { request_id: 9 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    expect(await bob.receive()).to.deep.equal(event('update', { pk: 1 }, 9));
    ann.close();
    await ann.ended;
    await save(database.orm, 1, { count: 4 });
    expect(await bob.receive()).to.deep.equal(event('update', { pk: 1 }, 9));
  });

  it('S190 (differs) lets two observers of one model show it each in its way', async () => {
    await using ann = await connect(things.app, '/ws/described/');
    await ann.request('watch', { request_id: 1 });
    await createThing(database.orm, 'n4');
    const frames = [await ann.receive(), await ann.receive()];
    expect(frames).to.deep.equal([event('create', { pk: 4 }), event('create', { title: 'n4 (1)' })]);
    await ann.expectSilence();
  });

  it('S192 (differs) tells of rows written with a key of their own, as a fixture has them', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    em.create(Thing, { id: 50, name: 'fix' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 50 }));
    await em.upsert(Thing, { id: 1, name: 'fix2', shelf: 1, count: 0 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await ann.expectSilence();
  });

  it('S194 (differs) tells a row by what it was in the database, also where it is written without being loaded', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await using bob = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await bob.request('subscribe_shelf', { shelf: 7, request_id: 2 });
    const em = database.orm.em.fork();
    em.create(Thing, { id: 60, name: 'sixty', shelf: 7 });
    await em.flush();
    expect(await bob.receive()).to.deep.equal(event('create', { id: 60, name: 'sixty', shelf: 7 }, 2));
    em.assign(em.getReference(Thing, 1), { name: 'one', shelf: 7 });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await bob.receive()).to.deep.equal(event('create', { id: 1, name: 'one', shelf: 7 }, 2));
  });

  it('S195 (differs) tells what was written, and nothing where nothing was', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await using bob = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await bob.request('subscribe_shelf', { shelf: 99, request_id: 2 });
    const em = database.orm.em.fork();
    const thing = await em.findOneOrFail(Thing, 1);
    thing.shelf = 99;
    thing.shelf = 1;
    thing.count = 5;
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'alpha', shelf: 1 }));
    await em.flush();
    await ann.expectSilence();
    await bob.expectSilence();
  });

  it('S196 (differs) tells an update of a row that was merged from elsewhere', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    const em = database.orm.em.fork();
    const merged = em.merge(Thing, JSON.parse('{"id":1,"name":"alpha","shelf":1,"count":0}') as Thing);
    merged.name = 'merged';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'merged', shelf: 1 }));
  });

  it('S197 (differs) tells a later change where the row is, and no move that has happened before', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await using bob = await connect(things.app, '/ws/shelf/');
    const em = database.orm.em.fork();
    const thing = await em.findOneOrFail(Thing, 1);
    await save(database.orm, 1, { shelf: 2 });
    await things.app.idle();
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await bob.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    await em.refresh(thing);
    thing.name = 'refreshed';
    await em.flush();
    expect(await bob.receive()).to.deep.equal(event('update', { id: 1, name: 'refreshed', shelf: 2 }, 2));
    await ann.expectSilence();
  });

  it('S199 (differs) shows dates, UUIDs and entities as JSON, and goes on after a row that it cannot show', async () => {
    things.logger.entries.splice(0);
    await using ann = await connect(things.app, '/ws/notes/');
    await ann.request('watch', { request_id: 1 });
    for (const name of ['plain', 'object', 'uuid', 'datetime', 'bigint', 'circle'])
      await createThing(database.orm, name);
    expect(await ann.receive()).to.deep.equal(event('create', { body: 'plain' }));
    const entity = thing(5, 'object');
    expect(await ann.receive()).to.deep.equal(event('create', { body: entity }));
    expect(await ann.receive()).to.deep.equal(event('create', { body: '11111111-1111-1111-1111-111111111111' }));
    expect(await ann.receive()).to.deep.equal(event('create', { body: '2026-01-02T03:04:05.000Z' }));
    expect(await ann.receive()).to.deep.equal(event('create', { body: '12345678901234567890' }));
    await ann.expectSilence();
    expect(
      things.logger.at('error').map(({ message, fields: { observer, pk } }) => [message, observer, pk]),
    ).to.deep.equal([['A change could not be sent as an event.', 'Notes.onThing', 9]]);
    await createThing(database.orm, 'after');
    expect(await ann.receive()).to.deep.equal(event('create', { body: 'after' }));
  });

  it('S200 (differs) keeps the socket of a subscriber whose observer throws', async () => {
    await using ann = await connect(things.app, '/ws/handler-raises/');
    await ann.request('watch', { request_id: 1 });
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
    expect(things.logger.entries.map(({ message }) => message)).to.include('An event could not be delivered.');
    await createThing(database.orm, 'after');
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
  });

  it('S201 (differs) takes observers of any name', async () => {
    await using ann = await connect(things.app, '/ws/underscore/');
    await ann.request('watch', { request_id: 1 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
  });

  it('S202 (differs) tells two classes with observers of one name apart', async () => {
    await using ann = await connect(things.app, '/ws/dup/');
    await using bob = await connect(things.app, '/ws/dup-too/');
    await ann.request('watch', { request_id: 1 });
    await bob.request('watch', { request_id: 1 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { via: 'Dup' }));
    expect(await bob.receive()).to.deep.equal(event('update', { via: 'DupToo' }));
    await ann.expectSilence();
    await bob.expectSilence();
  });

  it('S205 (differs) shows a row once per change, however many subscribe', async () => {
    await using ann = await connect(things.app, '/ws/busy/');
    await using bob = await connect(things.app, '/ws/busy/');
    await ann.request('watch', { request_id: 1 });
    await ann.request('watch', { request_id: 2 });
    await bob.request('watch', { request_id: 3 });
    await things.app.idle();
    Busy.shown = 0;
    await save(database.orm, 1, { count: 3 });
    for (const id of [1, 2]) expect(await ann.receive()).to.deep.equal(event('update', { count: 3 }, id));
    expect(await bob.receive()).to.deep.equal(event('update', { count: 3 }, 3));
    expect(Busy.shown).to.equal(1);
  });

  it('S206 (differs) loses no event of a subscriber that is busy', async function () {
    // A hundred and fifty commits, on a busy machine.
    const timeout = 120_000;
    this.timeout(timeout);
    await using bob = await connect(things.app, '/ws/busy/');
    await bob.request('watch', { request_id: 1 });
    const slow = bob.request('slow', { request_id: 2 }, { timeout });
    const em = database.orm.em.fork();
    const thing = await em.findOneOrFail(Thing, 1);
    for (let count = 1; count <= 150; count++) {
      thing.count = count;
      await em.flush();
    }
    Busy.finish();
    await slow;
    await things.app.idle();
    const counts = bob.frames.flatMap(({ action, data }) => (action === 'update' ? [data] : []));
    expect(counts).to.deep.equal(Array.from({ length: 150 }, (_, index) => ({ count: index + 1 })));
  });

  it('S207 (differs) asks a permission that has an opinion on deliveries at every one', async () => {
    const scopes: Scope[] = [];
    const prepare = (scope: Scope): void => void scopes.push(scope);
    await using ann = await connect(things.app, '/ws/guarded/?may=yes', { prepare });
    await using bob = await connect(things.app, '/ws/guarded/?may=no', { prepare });
    await ann.request('subscribe_all', { request_id: 1 });
    await bob.request('subscribe_all', { request_id: 2 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await bob.expectSilence();
    for (const { query } of scopes) query.set('may', query.get('may') === 'yes' ? 'no' : 'yes');
    await save(database.orm, 1, { count: 4 });
    expect(await bob.receive()).to.deep.equal(event('update', { pk: 1 }, 2));
    await ann.expectSilence();
  });

  it('S209 (differs) subscribes by the method, without a class or an instance to bind', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    expect(await ann.request('subscribe_all', { request_id: 1 })).to.deep.equal(done('subscribe_all', 201));
    const em = database.orm.em.fork();
    em.create(Person, { username: 'carol' });
    em.create(Thing, { name: 'n' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
    await ann.expectSilence();
  });
});
