import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  Consumer,
  Create,
  createApp,
  type InputOf,
  ModelConsumer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  Permissions,
  path,
  Retrieve,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { Country } from '../support/countries.js';
import { useDatabase } from '../support/database.js';
import { deleted, event, subscribed } from '../support/frames.js';
import { fill, removeThing, ShortSerializer, save, Thing, thingModels } from '../support/things.js';
import { CountryConsumer, InstanceConsumer, subscribe, ThingConsumer } from './instance-support.js';

const base = mix(ModelConsumer(Thing, { serializer: ShortSerializer }), Retrieve, ObserveInstance);

@Consumer()
class FilteredConsumer extends base {
  protected override getQuery() {
    return { hidden: false };
  }

  protected override filterQuery(query: object, { kwargs }: ActionContext) {
    return kwargs['shelf'] === undefined ? query : { ...query, shelf: Number(kwargs['shelf']) };
  }

  override async subscribeInstance({ id }: Thing, context: ActionContext) {
    const kwargs = { pk: id, shelf: context.kwargs['shelf'] };
    await this.subscribe(this.onInstance, kwargs, context);
  }
}

class NoWrites implements Permission {
  hasPermission({ action }: ActionContext) {
    return action !== 'update' && action !== 'delete';
  }
}

class NoEvents implements Permission {
  canReceive() {
    return false;
  }
}

@Consumer()
@Permissions(NoWrites)
class DenyWriteConsumer extends base {}

@Consumer()
@Permissions(NoEvents)
class DenyEventConsumer extends base {}

@Consumer()
class NameConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, lookupField: 'name' }),
  Retrieve,
  ObserveInstance,
) {}

@Consumer()
class KwargsConsumer extends base {
  protected override getQuery({ kwargs }: ActionContext) {
    return { shelf: Number(kwargs['shelf']) };
  }

  override async subscribeInstance({ id }: Thing, context: ActionContext) {
    const kwargs = { pk: id, shelf: context.kwargs['shelf'] };
    await this.subscribe(this.onInstance, kwargs, context);
  }
}

@Consumer()
class InheritingConsumer extends InstanceConsumer {}

@Consumer()
class ComposedConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer }),
  Create,
  Patch,
  ObserveInstance,
) {
  override async create(kwargs: { readonly data: InputOf<ShortSerializer> }, context: ActionContext) {
    const thing = await super.create(kwargs, context);
    await this.subscribeInstance(thing, context);
    return thing;
  }
}

const alpha = { id: 1, name: 'alpha', shelf: 1 };

function application(orm: MikroORM): App {
  return createApp({
    orm,
    routes: [
      path('/ws/filtered/', FilteredConsumer),
      path('/ws/deny-write/', DenyWriteConsumer),
      path('/ws/deny-event/', DenyEventConsumer),
      path('/ws/name/', NameConsumer),
      path('/ws/kwargs/', KwargsConsumer),
      path('/ws/inherit/', InheritingConsumer),
      path('/ws/country/', CountryConsumer),
      path('/ws/things/', ThingConsumer),
      path('/ws/composed/', ComposedConsumer),
    ],
  });
}

describe('DCRF 19: ObserverModelInstanceMixin, and which rows are visible', () => {
  const database = useDatabase('dcrf_visibility', [...thingModels, Country]);
  let app: App;

  beforeEach(async () => {
    await fill(database.orm);
    app = application(database.orm);
  });
  afterEach(() => app.close());

  it('S285 (differs) a row that leaves the query is one delete, then silence, and a create when it comes back', async () => {
    await using ann = await connect(app, '/ws/filtered/');
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { hidden: true });
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    await save(database.orm, 1, { count: 2 });
    await ann.expectSilence();
    await save(database.orm, 1, { hidden: false });
    expect(await ann.receive()).to.deep.equal(event('create', alpha, 4));
    await save(database.orm, 1, { shelf: 2 });
    expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, shelf: 2 }, 4));
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
  });

  it('S285 (differs) the delete of a row that had left is not told', async () => {
    await using ann = await connect(app, '/ws/filtered/');
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { hidden: true });
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    await removeThing(database.orm, 1);
    await ann.expectSilence();
  });

  it("S285 (differs) leaving the rows of the client's own filter counts too", async () => {
    await using ann = await connect(app, '/ws/filtered/');
    expect(await ann.request('subscribe_instance', { pk: 1, shelf: 1, request_id: 4 })).to.deep.equal(subscribed(4));
    await subscribe(ann, 1, 5);
    await save(database.orm, 1, { shelf: 2 });
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, shelf: 2 }, 5));
  });

  it('S286 a row that was hidden past the ORM is still a delete when it goes', async () => {
    await using ann = await connect(app, '/ws/filtered/');
    await subscribe(ann, 1, 4);
    await database.orm.em.fork().nativeUpdate(Thing, { id: 1 }, { hidden: true });
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    await ann.expectSilence();
  });

  it('S287 (differs) a permission that refuses to update and to delete refuses no event, and nothing is sent beside it', async () => {
    await using ann = await connect(app, '/ws/deny-write/');
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
    await ann.expectSilence();
  });

  it('S287 (differs) an event that a permission refuses is not sent, and nothing instead of it', async () => {
    await using ann = await connect(app, '/ws/deny-event/');
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { count: 1 });
    await removeThing(database.orm, 1);
    await ann.expectSilence();
  });

  it('S289 (differs) a row that is looked up by its name is told by its key', async () => {
    await using ann = await connect(app, '/ws/name/');
    const frame = { name: 'alpha', request_id: 4 };
    expect(await ann.request('subscribe_instance', frame)).to.deep.equal(subscribed(4));
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    expect(await ann.request('unsubscribe_instance', frame)).to.include({ response_status: 204 });
    await save(database.orm, 1, { count: 2 });
    await ann.expectSilence();
    await ann.request('subscribe_instance', frame);
    await removeThing(database.orm, 1);
    expect(await ann.receive()).to.deep.equal(deleted(4, 1));
  });

  it('S290 (differs) the query of a delivery is told what the consumer subscribed with', async () => {
    await using ann = await connect(app, '/ws/kwargs/');
    expect(await ann.request('subscribe_instance', { pk: 1, shelf: 1, request_id: 4 })).to.deep.equal(subscribed(4));
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
  });

  it('S291 (differs) a consumer with a query of its own retrieves and subscribes', async () => {
    await using ann = await connect(app, '/ws/filtered/');
    expect(await ann.request('retrieve', { pk: 1 })).to.deep.include({ data: alpha, response_status: 200 });
    expect(await subscribe(ann, 1, 4)).to.equal(201);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
  });

  it('S292 (differs) a subclass hears of its model, and a consumer of another model of that one', async () => {
    await using ann = await connect(app, '/ws/inherit/');
    await subscribe(ann, 1, 4);
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', alpha, 4));
    const em = database.orm.em.fork();
    const country = em.create(Country, { code: 'aa', name: 'n' });
    await em.flush();
    await using bob = await connect(app, '/ws/country/');
    expect(await subscribe(bob, 'aa', 5)).to.equal(201);
    await em.remove(country).flush();
    expect(await bob.receive()).to.deep.equal(deleted(5, 'aa'));
  });

  it('S294 (differs) three quick changes are three events, each with the state of its own commit', async () => {
    await using ann = await connect(app, '/ws/things/');
    await subscribe(ann, 1, 4);
    for (const count of [1, 2, 3]) await save(database.orm, 1, { count });
    for (const count of [1, 2, 3]) expect(await ann.receive()).to.deep.equal(event('update', { ...alpha, count }, 4));
    await ann.expectSilence();
  });

  it('S295 (differs) an action that calls others replies once; its subscription has its request id', async () => {
    await using ann = await connect(app, '/ws/composed/');
    expect(await ann.request('create', { data: { name: 'room' }, request_id: 'c1' })).to.deep.equal({
      errors: [],
      data: { id: 4, name: 'room', shelf: 1 },
      action: 'create',
      response_status: 201,
      request_id: 'c1',
    });
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'room', shelf: 1 }, 'c1'));
    await ann.expectSilence();
    expect(await ann.request('patch', { pk: 4, data: { shelf: 3 }, request_id: 'p1' })).to.deep.equal({
      errors: [],
      data: { id: 4, name: 'room', shelf: 3 },
      action: 'patch',
      response_status: 200,
      request_id: 'p1',
    });
    expect(await ann.receive()).to.deep.equal(event('update', { id: 4, name: 'room', shelf: 3 }, 'c1'));
  });
});
