import { expect } from 'chai';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  createApp,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  path,
  Retrieve,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { Country, CountrySerializer } from '../support/countries.js';
import { useDatabase } from '../support/database.js';
import { done, event, notFound } from '../support/frames.js';
import { Tag } from '../support/specimens.js';

@injectable()
class TagSerializer extends ModelSerializer(Tag, { fields: ['id', 'name'] }) {}

@Consumer()
class Countries extends mix(ModelConsumer(Country, { serializer: CountrySerializer }), Retrieve, ObserveInstance) {
  @Action({ status: 201 })
  async subscribeAll(context: ActionContext) {
    await this.subscribe(this.onCountry, {}, context);
  }
  @ModelObserver(() => Country)
  async onCountry(event: ModelEvent<Country, unknown>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
class Tags extends mix(ModelConsumer(Tag, { serializer: TagSerializer }), Retrieve, ObserveInstance) {
  @Action({ status: 201 })
  async subscribeAll(context: ActionContext) {
    await this.subscribe(this.onTag, {}, context);
  }
  @ModelObserver(() => Tag)
  async onTag(event: ModelEvent<Tag, unknown>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

const ones = 'aaaaaaaa-1111-1111-1111-111111111111';

describe('Custom and UUID primary keys, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_keys', [Country, Tag]);
  let app: App;
  before(() => {
    app = createApp({ orm: database.orm, routes: [path('/ws/country/', Countries), path('/ws/tag/', Tags)] });
  });
  after(() => app.close());

  it('S259 (differs) names rows by their text key, and tells a key that changes as a delete and a create', async () => {
    await using ann = await connect(app, '/ws/country/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    em.create(Country, { code: 'aa', name: 'n' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'aa' }));
    expect(await ann.request('subscribe_instance', { pk: 'aa', request_id: 4 })).to.deep.equal(
      done('subscribe_instance', 201, 4),
    );
    const country = await em.findOneOrFail(Country, { code: 'aa' });
    country.code = 'bb';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }, 4));
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }));
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'bb' }));
    expect(await database.orm.em.fork().find(Country, {})).to.deep.equal([{ code: 'bb', name: 'n' }]);
    em.remove(country);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'bb' }));
    await ann.expectSilence();
  });

  it('S260 (differs) shows a UUID as text, finds it with or without hyphens and in either case, and nothing by what is none', async () => {
    await using ann = await connect(app, '/ws/tag/');
    await using bob = await connect(app, '/ws/tag/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    const tag = em.create(Tag, { id: ones, name: 'u' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: ones }));
    const shown = {
      errors: [],
      data: { id: ones, name: 'u' },
      action: 'retrieve',
      response_status: 200,
      request_id: 2,
    };
    for (const spelling of [ones, ones.replaceAll('-', ''), ones.toUpperCase()])
      expect(await ann.request('retrieve', { pk: spelling, request_id: 2 })).to.deep.equal(shown);
    for (const pk of ['not-a-uuid', `{${ones}}`, `urn:uuid:${ones}`])
      expect(await ann.request('retrieve', { pk, request_id: 3 })).to.deep.equal(notFound('retrieve', 3));
    await bob.request('subscribe_instance', { pk: ones.toUpperCase().replaceAll('-', ''), request_id: 4 });
    tag.name = 'u2';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { pk: ones }));
    expect(await bob.receive()).to.deep.equal(event('update', { id: ones, name: 'u2' }, 4));
    em.remove(tag);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: ones }));
    expect(await bob.receive()).to.deep.equal(event('delete', { pk: ones }, 4));
  });
});
