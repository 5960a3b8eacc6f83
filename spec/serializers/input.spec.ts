import { Collection, type Rel } from '@mikro-orm/core';
import { Entity, ManyToOne, OneToMany, OneToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  Create,
  createApp,
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
import { testProviders } from '../support/providers.js';
import { RowClient } from '../support/rows.js';

@Entity()
class Author {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  name!: string;

  @OneToMany(() => Book, 'author')
  books = new Collection<Book>(this);
}

@Entity()
class Book {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  title!: string;

  @ManyToOne(() => Author)
  author!: Rel<Author>;
}

@injectable()
class AuthorSerializer extends ModelSerializer(Author, { fields: ['id', 'name'] }) {}

@injectable()
class BookInput extends ModelSerializer(Book, { fields: ['title', 'author'] }) {
  protected override async check({ title }: DataOf<BookInput>) {
    if (title === 'none') throw ValidationFailed.of({ title: ['No such title.'] });
  }

  override async create(data: RowData<Book>, context: SerializerContext) {
    return super.create({ ...data, title: `${data.title}!` }, context);
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

@injectable()
class WrongSerializer extends ModelSerializer(Book, { fields: ['id'], input: AuthorSerializer as never }) {}

@Consumer()
class WrongConsumer extends mix(ModelConsumer(Book, { serializer: WrongSerializer }), List) {}

@Entity()
class Counted {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  text!: string;

  @Property({ type: 'integer', version: true })
  version!: number;
}

@Entity()
class Timed {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  text!: string;

  @Property({ type: 'datetime', length: 3, version: true })
  version!: Date;
}

@Entity()
class Usr {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @OneToOne(() => Profile, { mappedBy: 'usr', nullable: true })
  profile?: Rel<Profile> | null;
}

@Entity()
class Profile {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @OneToOne(() => Usr, { owner: true, nullable: true })
  usr?: Rel<Usr> | null;
}

describe('A serializer with another one for what comes', () => {
  const database = useDatabase('serializer_input', [Author, Book]);
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    await database.orm.em.fork().execute(`insert into author (name) values ('Ann'), ('Bob')`);
    app = createApp({
      orm: database.orm,
      container: testProviders().container,
      routes: [path('/ws/', BookConsumer)],
    });
    ann = await connect(app, '/ws/');
  });
  afterEach(() => app.close());

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

  it('describes both', async () => {
    const [route] = app.describe().routes;
    const text = JSON.stringify(route);
    expect(text).to.include('BookInput');
    expect(text).to.include('BookSerializer');
  });

  it('is refused where the other one is of another entity', () => {
    expect(() =>
      createApp({
        orm: database.orm,
        container: testProviders().container,
        routes: [path('/ws/', WrongConsumer)],
      }),
    ).to.throw(
      'WrongSerializer.input: is AuthorSerializer, which is not a ModelSerializer of Book. ' +
        'Write class AuthorSerializer extends ModelSerializer(Book, { … }) {}.',
    );
  });
});

describe('The version of a row', () => {
  const database = useDatabase('serializer_versions', [Counted, Timed]);
  const conflict = [409, ['The row was changed by another request meanwhile.']];

  for (const [name, entity, stale] of [
    ['a number', Counted, 7],
    ['a time', Timed, '2026-01-31T12:00:00Z'],
  ] as const) {
    it(`that a client has seen is compared with the row's: ${name}`, async () => {
      await using client = await RowClient.open(database.orm, entity, { fields: ['id', 'text', 'version'] });
      const [, created] = await client.send('create', { data: { text: 'one', version: stale } });
      const { version } = created as { version: unknown };
      expect(version).not.to.equal(stale);
      expect(await client.send('patch', { pk: 1, data: { text: 'two', version: stale } })).to.deep.equal(conflict);
      expect(await client.send('patch', { pk: 1, data: { version: stale } })).to.deep.equal(conflict);
      const [status, patched] = await client.send('patch', { pk: 1, data: { text: 'two', version } });
      expect(status).to.equal(200);
      expect(patched).to.include({ text: 'two' });
      expect(await client.send('update', { pk: 1, data: { text: 'three', version } })).to.deep.equal(conflict);
      expect((await client.send('patch', { pk: 1, data: { text: 'three' } }))[0]).to.equal(200);
    });
  }

  it('is checked as its column is', async () => {
    await using client = await RowClient.open(database.orm, Counted, { fields: ['id', 'text', 'version'] });
    await client.send('create', { data: { text: 'one' } });
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
    const options = { fields: ['id', 'text', 'version'], readOnly: ['version'] };
    await using client = await RowClient.open(database.orm, Counted, options);
    await client.send('create', { data: { text: 'one' } });
    expect((await client.send('patch', { pk: 1, data: { text: 'two', version: 7 } }))[0]).to.equal(200);
  });
});

describe('A relation whose other side has the column', () => {
  const database = useDatabase('serializer_inverse', [Usr, Profile]);

  for (const [way, options, methods] of [
    ['without an entity', {}, {}],
    ['with one', { computed: ['same'] }, { same: () => true }],
  ] as const) {
    it(`is in the event as in the list where both rows are made at once, ${way}`, async () => {
      await using client = await RowClient.open(
        database.orm,
        Usr,
        { fields: ['id', 'profile'], readOnly: ['profile'], ...options },
        {},
        methods,
      );
      const em = database.orm.em.fork();
      em.create(Profile, { usr: em.create(Usr, {}) });
      await em.flush();
      const [, rows] = await client.send('list');
      expect(rows).to.have.nested.property('[0].profile', 1);
      expect(await client.events()).to.deep.equal(rows);
    });
  }
});
