import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  Consumer,
  createApp,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], readOnly: ['id'] }) {}

const base = mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveInstance);

class IsOpen implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    return !(object as Room).archived;
  }
}

class SaysWhy implements Permission {
  hasObjectPermission(_context: ActionContext, object: object) {
    if ((object as Room).archived) throw new PermissionDenied('Archived.');
    return true;
  }
}

let isDeaf = false;

class MayHear implements Permission {
  canReceive() {
    return !isDeaf;
  }
}

let gate = Promise.resolve();

@Consumer()
@Permissions(IsOpen)
class OpenConsumer extends base {}

@Consumer()
@Permissions(SaysWhy)
class SayingConsumer extends base {}

@Consumer()
@Permissions(MayHear)
class FilteredConsumer extends base {
  protected override async getQuery() {
    await gate;
    return { archived: false };
  }
}

@Consumer()
class OfOneNameConsumer extends base {
  protected override getQuery({ kwargs }: ActionContext) {
    return { name: { $like: `${kwargs['begin']}%` } };
  }
}

describe('What a subscription of a row may see', () => {
  const database = useDatabase('model_visibility');
  let app: App;
  let em: EntityManager;

  beforeEach(async () => {
    isDeaf = false;
    gate = Promise.resolve();
    em = database.orm.em.fork();
    await em.execute(`insert into room (name, archived) values ('red', false), ('blue', false)`);
    const routes = [
      path('/open/', OpenConsumer),
      path('/saying/', SayingConsumer),
      path('/filtered/', FilteredConsumer),
      path('/name/', OfOneNameConsumer),
    ];
    app = createApp({ orm: database.orm, routes });
  });
  afterEach(() => app.close());

  async function following(url: string, requestId = 4): Promise<TestConnection> {
    const ann = await connect(app, url);
    ann.send({ action: 'subscribe_instance', pk: 1, request_id: requestId });
    expect(await ann.receive()).to.include({ response_status: 201 });
    return ann;
  }

  async function save(values: Partial<Room>, pk = 1): Promise<void> {
    em.assign(await em.findOneOrFail(Room, pk), values);
    await em.flush();
  }

  for (const url of ['/open/', '/saying/']) {
    it(`asks for the object again: ${url} tells one delete, then silence, and a create when it is allowed again`, async () => {
      await using ann = await following(url);
      await save({ name: 'pink' });
      expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
      await save({ archived: true, name: 'secret' });
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 }, response_status: 204 });
      await save({ name: 'secret too' });
      await ann.expectSilence();
      expect(JSON.stringify(ann.frames)).not.to.contain('secret');
      await save({ archived: false, name: 'red' });
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red' } });
    });
  }

  it('shows the row as it is visible now, so that what it was while it was hidden is never sent', async () => {
    await using ann = await following('/filtered/');
    const opened = Promise.withResolvers<void>();
    gate = opened.promise;
    await save({ archived: true, name: 'secret' });
    await save({ archived: false, name: 'pink' });
    opened.resolve();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    await ann.expectSilence();
    expect(JSON.stringify(ann.frames)).not.to.contain('secret');
  });

  it('takes no row for gone of which a permission kept the delete back', async () => {
    await using ann = await following('/filtered/');
    isDeaf = true;
    await save({ archived: true });
    await ann.expectSilence();
    isDeaf = false;
    await save({ archived: false });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'red' } });
  });

  it('takes no row for back of which a permission kept the create back', async () => {
    await using ann = await following('/filtered/');
    await save({ archived: true });
    expect(await ann.receive()).to.include({ action: 'delete' });
    isDeaf = true;
    await save({ archived: false });
    await ann.expectSilence();
    isDeaf = false;
    await save({ name: 'pink' });
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'pink' } });
  });

  it('judges each row of one request id by what the client sent for that row', async () => {
    await using ann = await connect(app, '/name/');
    for (const frame of [
      { pk: 1, begin: 'r' },
      { pk: 2, begin: 'b' },
    ])
      expect(await ann.request('subscribe_instance', { ...frame, request_id: 4 })).to.include({ response_status: 201 });
    await save({ name: 'rose' });
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'rose' } });
    await save({ name: 'beige' }, 2);
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 2, name: 'beige' } });
  });
});
