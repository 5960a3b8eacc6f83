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
import { done, event } from '../support/frames.js';

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

const ones = '11111111-1111-1111-1111-111111111111';

describe('Custom and UUID primary keys, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_keys', [Code, Document]);
  let app: App;
  before(() => {
    app = createApp({ orm: database.orm, routes: [path('/ws/code/', Codes), path('/ws/uuid/', Documents)] });
  });
  after(() => app.close());

  it('S259 (differs) names rows by their text key, and tells a new key as a new row', async () => {
    await using ann = await connect(app, '/ws/code/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    em.create(Code, { code: 'aa', name: 'n' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'aa' }));
    expect(await ann.request('subscribe_instance', { pk: 'aa', request_id: 4 })).to.deep.equal(
      done('subscribe_instance', 201, 4),
    );
    em.create(Code, { code: 'bb', name: 'n' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'bb' }));
    em.remove(await em.findOneOrFail(Code, { code: 'aa' }));
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }, 4));
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'aa' }));
  });

  it('S260 (differs) shows a UUID as text, finds it in any spelling, and nothing by what is none', async () => {
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
    expect(await ann.request('retrieve', { pk: ones.replaceAll('-', ''), request_id: 2 })).to.deep.equal(shown);
    expect(await ann.request('retrieve', { pk: 'not-a-uuid', request_id: 3 })).to.deep.equal({
      errors: ['Not found.'],
      data: null,
      action: 'retrieve',
      response_status: 404,
      request_id: 3,
      code: 'not_found',
    });
    await bob.request('subscribe_instance', { pk: ones, request_id: 4 });
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
