import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  Create,
  type DataOf,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
  path,
  type RowData,
  type SerializerContext,
  Update,
  ValidationFailed,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { AuthorSerializer, Book, libraryModels } from '../support/library.js';
import { RowClient } from '../support/rows.js';
import { useServer } from '../support/serving.js';
import { Specimen, specimens } from '../support/specimens.js';
import { Issue, Note, trackerModels } from '../support/tracker.js';

@injectable()
class BookInput extends ModelSerializer(Book, { fields: ['title', 'author'] }) {
  protected override async check({ title }: DataOf<BookInput>) {
    if (title === 'none') throw ValidationFailed.of({ title: ['No such title.'] });
  }

  override async create(data: RowData<Book>, context: SerializerContext) {
    return super.create({ ...data, title: `${data.title}!`, shelf: 'new' }, context);
  }
}

@injectable()
class BookSerializer extends ModelSerializer(Book, {
  fields: ['id', 'title', 'author'],
  nested: { author: AuthorSerializer },
  input: BookInput,
}) {}

@Consumer()
class BookConsumer extends mix(ModelConsumer(Book, { serializer: BookSerializer }), List, Create, Update, Patch) {}

@Entity()
class Timed {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  code!: string;

  @Property({ type: 'datetime', length: 3, version: true })
  version!: Date;
}

describe('A serializer with another one for what comes', () => {
  const database = useDatabase('serializer_input', libraryModels);
  const serve = useServer();
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    await database.orm.em.fork().execute(`insert into author (name) values ('Ann'), ('Bob')`);
    ({ app } = serve([path('/ws/', BookConsumer)], { orm: database.orm }));
    ann = await connect(app, '/ws/');
  });

  it('sets relations by key, and shows them nested', async () => {
    const created = await ann.request('create', { data: { title: 'One', author: 1 } });
    expect(created).to.deep.include({
      response_status: 201,
      data: { id: 1, title: 'One!', author: { id: 1, name: 'Ann' } },
    });
    expect((await ann.request('patch', { pk: 1, data: { author: 2 } })).data).to.deep.equal({
      id: 1,
      title: 'One!',
      author: { id: 2, name: 'Bob' },
    });
    expect((await ann.request('update', { pk: 1, data: { title: 'Two', author: 1 } })).data).to.deep.equal({
      id: 1,
      title: 'Two',
      author: { id: 1, name: 'Ann' },
    });
  });

  it('checks what comes by the other one', async () => {
    expect((await ann.request('create', { data: { title: 'none', author: 1 } })).errors).to.deep.equal([
      { title: ['No such title.'] },
    ]);
    expect((await ann.request('create', { data: { author: 3 } })).errors).to.deep.equal([
      { title: ['This field is required.'], author: ['Invalid pk 3 - object does not exist.'] },
    ]);
  });

  it('is described beside it', async () => {
    const actions = app.describe().routes[0]?.streams[0]?.actions ?? [];
    const described = actions.map(({ name, kwargs, reply }) => ({ name, data: kwargs.properties?.['data'], reply }));
    const shown = { $ref: '#/schemas/BookSerializer' };
    expect(described).to.deep.equal([
      { name: 'list', data: undefined, reply: { type: 'array', items: shown } },
      { name: 'create', data: { $ref: '#/schemas/BookInputInput' }, reply: shown },
      { name: 'update', data: { $ref: '#/schemas/BookInputInput' }, reply: shown },
      { name: 'patch', data: { $ref: '#/schemas/BookInputPatch' }, reply: shown },
    ]);
  });

  it('is refused where the other one is of another entity', () => {
    @injectable()
    class WrongSerializer extends ModelSerializer(Book, { fields: ['id'], input: AuthorSerializer as never }) {}
    @Consumer()
    class WrongConsumer extends mix(ModelConsumer(Book, { serializer: WrongSerializer }), List) {}
    expect(() => serve([path('/ws/', WrongConsumer)], { orm: database.orm })).to.throw(
      'WrongSerializer.input: is AuthorSerializer, which is not a ModelSerializer of Book. ' +
        'Write class AuthorSerializer extends ModelSerializer(Book, { … }) {}.',
    );
  });
});

describe('The version of a row', () => {
  const database = useDatabase('serializer_versions', [...specimens, Timed]);
  const conflict = [409, ['The row was changed by another request meanwhile.']];

  for (const [name, entity, stale] of [
    ['a number', Specimen, 7],
    ['a time', Timed, '2026-01-31T12:00:00Z'],
  ] as const) {
    it(`that a client has seen is compared with the row's: ${name}`, async () => {
      await using client = await RowClient.open(database.orm, entity, { fields: ['id', 'code', 'version'] });
      const [, created] = await client.send('create', { data: { code: 'one', version: stale } });
      const { version } = created as { version: unknown };
      expect(version).not.to.equal(stale);
      expect(await client.send('patch', { pk: 1, data: { code: 'two', version: stale } })).to.deep.equal(conflict);
      expect(await client.send('patch', { pk: 1, data: { version: stale } })).to.deep.equal(conflict);
      const [status, patched] = await client.send('patch', { pk: 1, data: { code: 'two', version } });
      expect(status).to.equal(200);
      expect(patched).to.include({ code: 'two' });
      expect(await client.send('update', { pk: 1, data: { code: 'three', version } })).to.deep.equal(conflict);
      expect((await client.send('patch', { pk: 1, data: { code: 'three' } }))[0]).to.equal(200);
    });
  }

  it('is checked as its column is', async () => {
    await using client = await RowClient.open(database.orm, Specimen, { fields: ['id', 'code', 'version'] });
    await client.send('create', { data: { code: 'one' } });
    expect(await client.send('patch', { pk: 1, data: { version: '1' } })).to.deep.equal([
      400,
      [{ version: ['A valid integer is required.'] }],
    ]);
    expect(await client.send('patch', { pk: 1, data: { version: null } })).to.deep.equal([
      400,
      [{ version: ['This field may not be null.'] }],
    ]);
  });

  it('says nothing where it is read only', async () => {
    const options = { fields: ['id', 'code', 'version'], readOnly: ['version'] };
    await using client = await RowClient.open(database.orm, Specimen, options);
    await client.send('create', { data: { code: 'one' } });
    expect((await client.send('patch', { pk: 1, data: { code: 'two', version: 7 } }))[0]).to.equal(200);
  });
});

describe('A relation whose other side has the column', () => {
  const database = useDatabase('serializer_inverse', trackerModels);

  for (const [way, options, methods] of [
    ['without an entity', {}, {}],
    ['with one', { computed: ['same'] }, { same: () => true }],
  ] as const) {
    it(`is in the event as in the list where both rows are made at once, ${way}`, async () => {
      await using client = await RowClient.open(
        database.orm,
        Issue,
        { fields: ['id', 'note'], readOnly: ['note'], ...options },
        {},
        methods,
      );
      const em = database.orm.em.fork();
      em.create(Note, { text: 'seen', issue: em.create(Issue, { title: 'crash' }) });
      await em.flush();
      const [, rows] = await client.send('list');
      expect(rows).to.have.nested.property('[0].note', 1);
      expect(await client.events()).to.deep.equal(rows);
    });
  }
});
