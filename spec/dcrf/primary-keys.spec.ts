import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
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
import { useDatabase } from '../support/database.js';
import { done, event, notFound } from '../support/frames.js';

@Entity()
class Code {
  @PrimaryKey({ type: 'string' })
  code!: string;
  @Property({ type: 'string' })
  name!: string;
}

@Entity()
class Document {
  @PrimaryKey({ type: 'uuid' })
  id!: string;
  @Property({ type: 'string' })
  name!: string;
}

@injectable()
class CodeSerializer extends ModelSerializer(Code, { fields: ['code', 'name'] }) {}

@injectable()
class DocumentSerializer extends ModelSerializer(Document, { fields: ['id', 'name'] }) {}

@Consumer()
class Codes extends mix(ModelConsumer(Code, { serializer: CodeSerializer }), Retrieve, ObserveInstance) {
  @Action({ status: 201 })
  async subscribeAll(context: ActionContext) {
    await this.subscribe(this.onCode, {}, context);
  }
  @ModelObserver(() => Code)
  async onCode(event: ModelEvent<Code, unknown>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
class Documents extends mix(ModelConsumer(Document, { serializer: DocumentSerializer }), Retrieve, ObserveInstance) {
  @Action({ status: 201 })
  async subscribeAll(context: ActionContext) {
    await this.subscribe(this.onDocument, {}, context);
  }
  @ModelObserver(() => Document)
  async onDocument(event: ModelEvent<Document, unknown>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

const ones = 'aaaaaaaa-1111-1111-1111-111111111111';

describe('Custom and UUID primary keys, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_keys', [Code, Document]);
  let app: App;
  before(() => {
    app = createApp({ orm: database.orm, routes: [path('/ws/code/', Codes), path('/ws/uuid/', Documents)] });
  });
  after(() => app.close());

  it('S259 (differs) names rows by their text key, and tells a key that changes as a delete and a create', async () => {
    await using ann = await connect(app, '/ws/code/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    em.create(Code, { code: 'aa', name: 'n' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'aa' }));
    expect(await ann.request('subscribe_instance', { pk: 'aa', request_id: 4 })).to.deep.equal(
      done('subscribe_instance', 201, 4),
    );
    const code = await em.findOneOrFail(Code, { code: 'aa' });
    code.code = 'bb';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }, 4));
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }));
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'bb' }));
    expect(await database.orm.em.fork().find(Code, {})).to.deep.equal([{ code: 'bb', name: 'n' }]);
    em.remove(code);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'bb' }));
    await ann.expectSilence();
  });

  it('S260 (differs) shows a UUID as text, finds it with or without hyphens and in either case, and nothing by what is none', async () => {
    await using ann = await connect(app, '/ws/uuid/');
    await using bob = await connect(app, '/ws/uuid/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    const document = em.create(Document, { id: ones, name: 'u' });
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
    document.name = 'u2';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { pk: ones }));
    expect(await bob.receive()).to.deep.equal(event('update', { id: ones, name: 'u2' }, 4));
    em.remove(document);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: ones }));
    expect(await bob.receive()).to.deep.equal(event('delete', { pk: ones }, 4));
  });
});
