import { Collection, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, Filter, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { type App, Consumer, List, ModelConsumer, ModelSerializer, mix, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { useServer } from '../support/serving.js';

@Filter({ name: 'kept', cond: { deleted: false }, default: true })
@Entity()
class Shelf {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'boolean', default: false }) deleted: Opt<boolean> = false;
}

@Entity()
class Author {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Shelf, { nullable: true }) shelf?: Rel<Shelf> | null;
}

@Entity()
class Book {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Shelf, { nullable: true }) home?: Rel<Shelf> | null;
  @ManyToMany(() => Shelf) shelves = new Collection<Shelf>(this);
  @ManyToMany(() => Author) authors = new Collection<Author>(this);
}

@injectable()
class BookSerializer extends ModelSerializer(Book, { fields: ['id'] }) {}

const both = ['exact', 'not'] as const;

@Consumer()
class Books extends mix(
  ModelConsumer(Book, {
    serializer: BookSerializer,
    filters: {
      fields: {
        home: [...both, 'in', 'is_null'],
        'home.name': both,
        'authors.shelf': both,
        'shelves.name': both,
        shelves: [...both, 'is_null'],
        'authors.shelf.name': both,
      },
      ordering: ['home.name', 'shelves.name'],
      search: ['shelves.name'],
    },
  }),
  List,
) {}

/** The first book stands on a shelf that is there, the second on one that the ORM's default filter hides. */
describe('Filters through relations whose rows the ORM hides', () => {
  const database = useDatabase('hidden_relations', [Shelf, Author, Book]);
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    for (const deleted of [false, true]) {
      const shelf = em.create(Shelf, { name: 'tall', deleted });
      const book = em.create(Book, { home: shelf });
      book.shelves.add(shelf);
      book.authors.add(em.create(Author, { shelf }));
    }
    await em.flush();
    ({ app } = serve([path('/', Books)], { orm: database.orm }));
  });

  const found: readonly (readonly [object, readonly number[]])[] = [
    [{ filter: { 'home.name': 'tall' } }, [1]],
    [{ filter: { 'home.name': { not: 'tall' } } }, [2]],
    [{ filter: { 'home.name': { not: 'small' } } }, [1, 2]],
    [{ filter: { 'shelves.name': 'tall' } }, [1]],
    [{ filter: { 'shelves.name': { not: 'tall' } } }, [2]],
    [{ filter: { shelves: 2 } }, []],
    [{ filter: { shelves: { is_null: true } } }, [2]],
    [{ filter: { 'authors.shelf.name': 'tall' } }, [1]],
    [{ filter: { 'authors.shelf.name': { not: 'tall' } } }, [2]],
    // The key of a relation to one is a column of the row itself.
    [{ filter: { home: 2 } }, [2]],
    [{ filter: { home: [1, 2] } }, [1, 2]],
    [{ filter: { home: { not: 2 } } }, [1]],
    [{ filter: { home: { is_null: true } } }, []],
    [{ filter: { 'authors.shelf': 2 } }, [2]],
    [{ filter: { 'authors.shelf': { not: 2 } } }, [1]],
    [{ search: 'tall' }, [1]],
    [{ ordering: '-home.name' }, [2, 1]],
    [{ ordering: '-shelves.name' }, [2, 1]],
  ];
  for (const [kwargs, ids] of found) {
    it(`hold these for rows without a value: ${JSON.stringify(kwargs)}`, async () => {
      await using client = await connect(app, '/');
      const { data } = await client.request('list', { ...kwargs });
      expect((data as readonly { readonly id: number }[]).map(({ id }) => id)).to.deep.equal(ids);
    });
  }
});
