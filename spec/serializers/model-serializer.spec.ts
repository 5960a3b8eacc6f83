import { type EntityManager, wrap } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  Clock,
  ConfigurationError,
  Consumer,
  Create,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  Serializer,
  type SerializerContext,
  serializeMany,
  serializeOne,
  Update,
} from 'signalbox';
import { connect, TestClock, type TestConnection } from 'signalbox/testing';
import { injectable, container as rootContainer } from 'tsyringe';
import { UnitOfWork } from '#signalbox/orm/unit-of-work.js';
import { checkModelSerializer } from '#signalbox/serializers/model-serializer.js';
import { useDatabase } from '../support/database.js';
import { entities, Room, User } from '../support/entities.js';
import { queriesOf } from '../support/queries.js';
import { contextOf } from '../support/serializing.js';
import { useServer } from '../support/serving.js';
import { Shelf, Specimen, specimens, Tag } from '../support/specimens.js';

@injectable()
class UserSerializer extends ModelSerializer(User, {
  fields: ['id', 'username', 'password'],
  readOnly: ['id'],
  writeOnly: ['password'],
}) {}

@injectable()
class ShelfSerializer extends ModelSerializer(Shelf, { fields: ['id', 'name', 'specimens'] }) {}

let built = 0;

@injectable()
class TagSerializer extends ModelSerializer(Tag, { fields: ['name'] }) {
  constructor() {
    super();
    built += 1;
  }
}

@injectable()
class SpecimenSerializer extends ModelSerializer(Specimen, {
  fields: ['id', 'code', 'big', 'seen', 'notes', 'shelf', 'tags', 'createdAt'],
  readOnly: ['createdAt'],
  nested: { shelf: ShelfSerializer, tags: TagSerializer },
  computed: ['age', 'shelfName'],
  populate: ['shelf'],
}) {
  constructor(private readonly clock: Clock) {
    super();
  }

  age({ createdAt }: Specimen) {
    return this.clock.now().getTime() - createdAt.getTime();
  }

  async shelfName({ shelf }: Specimen, { unitOfWork }: SerializerContext) {
    return shelf && unitOfWork ? shelf.name : 'nowhere';
  }
}

@injectable()
class KeySerializer extends ModelSerializer(Specimen, { fields: ['id', 'shelf', 'tags'] }) {}

@injectable()
class UnwrittenSerializer extends ModelSerializer(Specimen, { fields: ['id'], computed: ['age'] }) {}

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host', 'members', 'archived'],
  readOnly: ['archived'],
  nested: { host: UserSerializer },
}) {
  override async create(data: { name?: string }, context: SerializerContext) {
    return super.create({ ...data, name: `${data.name}!` }, context);
  }

  override async update(room: Room, data: { name?: string }, context: SerializerContext) {
    return super.update(room, data.name === undefined ? data : { ...data, name: `${data.name}?` }, context);
  }
}

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
) {}

@Consumer()
class UserConsumer extends mix(ModelConsumer(User, { serializer: UserSerializer }), Create, Retrieve) {}

@injectable()
class NameSerializer extends Serializer<Room, { title: string }> {
  async toData(room: Room) {
    return { title: room.name };
  }
}

@Consumer()
class NameConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {
  protected override getSerializer(_context: ActionContext) {
    return NameSerializer;
  }
}

describe('What a model serializer shows', () => {
  const database = useDatabase('model_serializer', specimens);
  let em: EntityManager;
  let context: SerializerContext;

  beforeEach(async () => {
    em = database.orm.em.fork();
    const container = rootContainer.createChildContainer();
    container.registerInstance(Clock, new TestClock(new Date('2026-01-01T00:00:01Z')));
    context = contextOf(em, container);
    const tags = ['red', 'blue'].map((name, index) =>
      em.create(Tag, { id: `00000000-0000-4000-8000-00000000000${index}`, name }),
    );
    for (const name of ['left', 'right']) {
      const shelf = em.create(Shelf, { name });
      for (const code of ['a', 'b', 'c']) {
        em.create(Specimen, {
          code,
          shelf,
          tags,
          big: 9007199254740993n,
          seen: new Date('2026-01-31T12:00:00Z'),
          notes: `${name} ${code}`,
        });
      }
    }
    em.create(Specimen, { code: 'loose' });
    await em.flush();
    em.clear();
  });

  it('are the fields, nested relations and computed fields', async () => {
    const specimen = await em.findOneOrFail(Specimen, { code: 'a', shelf: { name: 'left' } });
    expect(await serializeOne(SpecimenSerializer, specimen, context)).to.deep.equal({
      id: 1,
      code: 'a',
      big: 9007199254740993n,
      seen: new Date('2026-01-31T12:00:00Z'),
      notes: 'left a',
      shelf: { id: 1, name: 'left', specimens: [1, 2, 3] },
      tags: [{ name: 'red' }, { name: 'blue' }],
      createdAt: new Date('2026-01-01T00:00:00Z'),
      age: 1000,
      shelfName: 'left',
    });
  });

  it('is null for what is not there', async () => {
    const specimen = await em.findOneOrFail(Specimen, { code: 'loose' });
    expect(await serializeOne(SpecimenSerializer, specimen, context)).to.deep.include({
      big: null,
      seen: null,
      notes: null,
      shelf: null,
      tags: [],
      shelfName: 'nowhere',
    });
  });

  it('are keys for relations that are not nested, without a query for the one that the row refers to', async () => {
    const specimen = await em.findOneOrFail(Specimen, 4);
    const queries = await queriesOf(database.orm, async () => {
      expect(await serializeOne(KeySerializer, specimen, context)).to.deep.equal({
        id: 4,
        shelf: 2,
        tags: ['00000000-0000-4000-8000-000000000000', '00000000-0000-4000-8000-000000000001'],
      });
    });
    expect(queries).to.have.length(1);
  });

  it('takes as many queries for many rows as for one', async () => {
    const one = await em.fork().find(Specimen, { code: 'a', shelf: { name: 'left' } });
    const all = await em.fork().find(Specimen, {});
    const container = rootContainer.createChildContainer();
    const forOne = await queriesOf(database.orm, () =>
      serializeMany(SpecimenSerializer, one, contextOf(wrapped(one), container)),
    );
    const forAll = await queriesOf(database.orm, () =>
      serializeMany(SpecimenSerializer, all, contextOf(wrapped(all), container)),
    );
    expect(all).to.have.length(7);
    expect(forAll).to.have.length(forOne.length);
    expect(forAll.length).to.be.lessThan(6);
  });

  it('takes one instance of each serializer, however many rows there are', async () => {
    const all = await em.find(Specimen, {});
    built = 0;
    await serializeMany(SpecimenSerializer, all, context);
    expect(built).to.equal(1);
  });

  it('asks for nothing that is loaded already', async () => {
    const loaded = await em.find(Specimen, {}, { populate: ['shelf.specimens', 'tags', 'notes'] });
    expect(await queriesOf(database.orm, () => serializeMany(SpecimenSerializer, loaded, context))).to.deep.equal([]);
  });

  it('needs a method for each computed field', () => {
    expect(() => checkModelSerializer(UnwrittenSerializer, new UnitOfWork(database.orm.em))).to.throw(
      ConfigurationError,
      'UnwrittenSerializer.age: is listed as a computed field, and the serializer has no method of this name. ' +
        'Write age(entity) in UnwrittenSerializer.',
    );
  });

  it('has no field that the entity does not have', () => {
    class Misspelt extends ModelSerializer(Specimen, { fields: ['id', 'colour' as 'code'] }) {}
    expect(() => checkModelSerializer(Misspelt, new UnitOfWork(database.orm.em))).to.throw(
      ConfigurationError,
      'Misspelt.colour: Specimen has no property of this name that MikroORM knows. ' +
        'Remove it from the fields, list it as computed and write its method, or decorate the property.',
    );
  });

  function wrapped([entity]: readonly object[]): EntityManager {
    const manager = entity && (wrap(entity, true).__em as EntityManager | undefined);
    if (!manager) throw new Error('The entity is managed by nobody.');
    return manager;
  }
});

describe('What a model serializer writes', () => {
  const database = useDatabase('model_serializer_writes', entities);
  const serve = useServer();
  let app: App;
  let rooms: TestConnection;
  let em: EntityManager;

  beforeEach(async () => {
    em = database.orm.em.fork();
    await database.orm.em.execute(`insert into "user" (username, password) values ('ann', 'x'), ('bob', 'x')`);
    const routes = [path('/rooms/', RoomConsumer), path('/users/', UserConsumer), path('/names/', NameConsumer)];
    ({ app } = serve(routes, { orm: database.orm }));
    rooms = await connect(app, '/rooms/');
  });

  it('is what the client may set, by the create that is overridden', async () => {
    const data = { id: 77, name: 'red', host: 1, archived: true, members: [1, 2], admin: true };
    expect(await rooms.request('create', { data })).to.deep.include({
      response_status: 201,
      data: { id: 1, name: 'red!', host: null, members: [1, 2], archived: false },
    });
    expect(await em.findOneOrFail(Room, 1, { populate: ['members'] })).to.deep.include({ name: 'red!', host: null });
  });

  it('is what the client may set, by the update that is overridden', async () => {
    await rooms.request('create', { data: { name: 'red', members: [1] } });
    expect(
      await rooms.request('update', { pk: 1, data: { name: 'blue', members: [2], archived: true } }),
    ).to.deep.include({
      response_status: 200,
      data: { id: 1, name: 'blue?', host: null, members: [2], archived: false },
    });
    expect(await rooms.request('update', { pk: 1, data: { members: [] } })).to.deep.include({
      response_status: 400,
      errors: [{ name: ['This field is required.'] }],
    });
    expect(await rooms.request('patch', { pk: 1, data: { members: [] } })).to.deep.include({
      response_status: 200,
      data: { id: 1, name: 'blue?', host: null, members: [], archived: false },
    });
  });

  it('is nothing where a value has to be unique and is not: 409 with the field', async () => {
    await rooms.request('create', { data: { name: 'red' } });
    expect(await rooms.request('create', { data: { name: 'red' } })).to.deep.equal({
      errors: [{ name: ['An object with this name already exists.'] }],
      data: null,
      action: 'create',
      response_status: 409,
      request_id: 'test-2',
      code: 'conflict',
    });
    await rooms.request('create', { data: { name: 'blue' } });
    expect(await rooms.request('patch', { pk: 3, data: { name: 'red!' } })).to.include({ response_status: 200 });
    expect(await rooms.request('list')).to.deep.include({
      data: [
        { id: 1, name: 'red!', host: null, members: [], archived: false },
        { id: 3, name: 'red!?', host: null, members: [], archived: false },
      ],
    });
  });

  it('takes write-only fields and shows them nowhere', async () => {
    await using users = await connect(app, '/users/');
    const data = { username: 'cem', password: 'secret' };
    expect(await users.request('create', { data })).to.deep.include({ data: { id: 3, username: 'cem' } });
    expect(await users.request('retrieve', { pk: 3 })).to.deep.include({ data: { id: 3, username: 'cem' } });
    expect((await em.findOneOrFail(User, 3)).password).to.equal('secret');
  });

  it('is shown by the serializer that the consumer chooses, which need not follow from a model', async () => {
    await rooms.request('create', { data: { name: 'red' } });
    await using names = await connect(app, '/names/');
    expect(await names.request('retrieve', { pk: 1 })).to.deep.include({ data: { title: 'red!' } });
  });
});

let made = 0;

@Entity()
class Sheet {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'text' }) title!: string;
  @Property({ type: 'text' }) size!: string;

  constructor() {
    made += 1;
  }
}

@injectable()
class SheetSerializer extends ModelSerializer(Sheet, { fields: ['id', 'title', 'size'] }) {}

@Consumer()
class SheetConsumer extends mix(ModelConsumer(Sheet, { serializer: SheetSerializer }), Retrieve, ObserveInstance) {}

describe('The fields of a model serializer', () => {
  const database = useDatabase('model_serializer_fields', [Sheet]);
  const serve = useServer();

  it('are compiled once per class: neither requests nor events make entities to find out their defaults', async () => {
    await database.orm.em.execute(`insert into sheet (title, size) values ('plan', 'A3')`);
    const { app } = serve([path('/sheets/', SheetConsumer)], { orm: database.orm });
    await using sheets = await connect(app, '/sheets/');
    await sheets.request('subscribe_instance', { pk: 1 });
    made = 0;
    const fork = database.orm.em.fork();
    (await fork.findOneOrFail(Sheet, 1)).title = 'draft';
    await fork.flush();
    expect(await sheets.receive()).to.deep.include({ data: { id: 1, title: 'draft', size: 'A3' } });
    for (let count = 0; count < 3; count += 1) await sheets.request('retrieve', { pk: 1 });
    expect(made).to.equal(0);
  });
});
