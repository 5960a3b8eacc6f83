import { Collection, EntityManager, type FilterQuery, type Opt, type Rel } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Length } from 'class-validator';
import {
  ActionContext,
  BulkCreate,
  BulkDelete,
  BulkPatch,
  Conflict,
  Consumer,
  Create,
  Delete,
  DetailAction,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  ObserveKinds,
  ObserveRows,
  Patch,
  type PerformCreate,
  type PerformDelete,
  type PerformUpdate,
  path,
  Retrieve,
  type Rights,
  reply,
  Serializer,
  type SerializerContext,
  StreamedList,
  serializeMany,
  serializeOne,
  Update,
  ValidationFailed,
} from 'signalbox';
import { injectable } from 'tsyringe';

// What docs/serializers.md and docs/crud.md show, as it stands there.

@Entity()
export class Author {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
export class Genre {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
export class Book {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Length(1, 60) @Property({ type: 'string', length: 60, unique: true }) title!: string;
  @Property({ type: 'decimal', precision: 6, scale: 2, nullable: true }) price?: string | null;
  @Property({ type: 'boolean', default: false }) onLoan: Opt<boolean> = false;
  @Property({ type: 'string' }) shelf!: string;
  @ManyToOne(() => Author) author!: Rel<Author>;
  @ManyToMany(() => Genre) genres = new Collection<Genre>(this);
}

@Entity()
export class Member {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', unique: true }) name!: string;
  @Property({ type: 'string', hidden: true }) pin!: string;
}

export const libraryModels = [Author, Genre, Book, Member];

// Serializers

@injectable()
export class AuthorSerializer extends ModelSerializer(Author, { fields: ['id', 'name'] }) {}

@injectable()
export class GenreSerializer extends ModelSerializer(Genre, { fields: ['name'] }) {}

@injectable()
export class BookSerializer extends ModelSerializer(Book, {
  fields: ['id', 'title', 'price', 'onLoan', 'shelf', 'author', 'genres'],
  readOnly: ['onLoan'],
  optional: ['shelf'],
}) {}

@injectable()
export class BookCard extends ModelSerializer(Book, {
  fields: ['id', 'title', 'author', 'genres'],
  nested: { author: AuthorSerializer, genres: GenreSerializer },
}) {}

@injectable()
export class MemberSerializer extends ModelSerializer(Member, {
  fields: ['id', 'name', 'pin'],
  writeOnly: ['pin'],
}) {}

@injectable()
export class BookLabel extends ModelSerializer(Book, {
  fields: ['id'],
  computed: ['label', 'isNew'],
  reads: { label: ['title', 'author.name'], isNew: ['shelf'] },
}) {
  label({ title, author }: { title: string; author: { name: string } }) {
    return `${title}, ${author.name}`;
  }
  isNew({ shelf }: Pick<Book, 'shelf'>) {
    return shelf === 'new';
  }
}

@injectable()
export class BookSpine extends ModelSerializer(Book, {
  fields: ['id'],
  computed: ['spine'],
  populate: ['author'],
}) {
  spine({ title, author }: Book) {
    return `${title.toUpperCase()} - ${author.name}`;
  }
}

@injectable()
export class StaffRights implements Rights<'staff'> {
  rightsOf({ scope }: ActionContext) {
    return scope.query.get('desk') === null ? undefined : ('staff' as const);
  }
}

@injectable()
export class PricedBook extends ModelSerializer(Book, {
  fields: ['id', 'title', 'price'],
  rights: { by: StaffRights, fields: { price: 'staff' } },
}) {}

@injectable()
export class BookInput extends ModelSerializer(Book, {
  fields: ['title', 'shelf', 'author', 'genres'],
}) {}

@injectable()
export class BookEntry extends ModelSerializer(Book, {
  fields: ['id', 'title', 'author', 'genres'],
  nested: { author: AuthorSerializer, genres: GenreSerializer },
  input: BookInput,
}) {}

@injectable()
export class BookLine extends Serializer<Book, string> {
  toData({ title, author }: Book) {
    return `${title}, ${author.name}`;
  }
  override pathsToLoad() {
    return ['author'];
  }
}

@injectable()
export class AuthorPage extends ModelSerializer(Author, {
  fields: ['id', 'name'],
  computed: ['books'],
  reads: { books: ['id'] },
}) {
  constructor(private readonly em: EntityManager) {
    super();
  }
  async books({ id }: Pick<Author, 'id'>, context: SerializerContext) {
    const books = await this.em.find(Book, { author: id }, { orderBy: { title: 'asc' }, limit: 3 });
    return serializeMany(BookLine, books, context);
  }
}

@injectable()
export class CheckedBook extends ModelSerializer(Book, {
  fields: ['id', 'title', 'price', 'onLoan', 'author'],
  optional: ['onLoan'],
}) {
  protected override async check({ price, onLoan }: { price?: string | null; onLoan?: boolean }) {
    if (onLoan && price === null) throw ValidationFailed.of({ price: ['A book on loan needs a price.'] });
  }
  protected override relationQuery(field: string): FilterQuery<object> {
    return field === 'author' ? { name: { $ne: 'Anonymous' } } : {};
  }
}

// Consumers

@Consumer()
export class BookConsumer extends mix(
  ModelConsumer(Book, { serializer: BookSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  protected override performCreate(...[serializer, data, context]: PerformCreate<BookSerializer>) {
    return super.performCreate(serializer, { shelf: 'new', ...data }, context);
  }
}

@Consumer()
export class DeskConsumer extends mix(
  ModelConsumer(Book, { serializer: BookSerializer }),
  List,
  Retrieve,
  Update,
  Patch,
  Delete,
) {
  protected override getQuery({ scope }: ActionContext): FilterQuery<Book> {
    return { shelf: scope.query.get('desk') ?? '' };
  }
  protected override filterQuery(query: FilterQuery<Book>, { kwargs }: ActionContext): FilterQuery<Book> {
    return kwargs['cheap'] === true ? { $and: [query, { price: { $lt: '5' } }] } : query;
  }
  protected override getOrder() {
    return { title: 'asc' as const };
  }
  protected override performPatch(...[serializer, book, data, context]: PerformUpdate<BookSerializer>) {
    if (book.onLoan) throw new Conflict('The book is on loan.');
    return super.performPatch(serializer, book, data, context);
  }
  protected override async performDelete(...[book]: PerformDelete<BookSerializer>) {
    book.shelf = 'cellar';
  }
}

@Consumer()
export class CatalogueConsumer extends mix(
  ModelConsumer(Book, { serializer: BookLabel, paginator: LimitOffsetPaginator, lookupField: 'title' }),
  StreamedList,
  Retrieve,
) {
  protected override getSerializer({ action }: ActionContext) {
    return action === 'retrieve' ? BookCard : BookLabel;
  }
}

@Consumer()
export class LoanConsumer extends mix(ModelConsumer(Book, { serializer: BookSerializer }), Retrieve) {
  @DetailAction()
  lend(book: Book) {
    book.onLoan = true;
    return reply(book, { serializer: BookLabel });
  }

  @DetailAction()
  async print(book: Book, context: ActionContext) {
    return { text: await serializeOne(BookLine, book, this.getSerializerContext(context)) };
  }
}

@Consumer()
export class CardConsumer extends mix(ModelConsumer(Book, { serializer: BookCard }), List, Retrieve) {}

@Consumer()
export class EntryConsumer extends mix(ModelConsumer(Book, { serializer: BookEntry }), Create, Patch) {}

@Consumer()
export class LabelConsumer extends mix(ModelConsumer(Book, { serializer: BookLabel }), List) {}

@Consumer()
export class SpineConsumer extends mix(ModelConsumer(Book, { serializer: BookSpine }), Retrieve) {}

@Consumer()
export class PricedConsumer extends mix(ModelConsumer(Book, { serializer: PricedBook }), Retrieve, Patch) {}

@Consumer()
export class CheckedConsumer extends mix(ModelConsumer(Book, { serializer: CheckedBook }), Patch) {}

@Consumer()
export class LineConsumer extends mix(ModelConsumer(Book, { serializer: BookLine }), List) {}

@Consumer()
export class AuthorConsumer extends mix(ModelConsumer(Author, { serializer: AuthorPage }), Retrieve) {}

@Consumer()
export class MemberConsumer extends mix(ModelConsumer(Member, { serializer: MemberSerializer }), Create) {}

@Consumer()
export class ShelfConsumer extends mix(
  ModelConsumer(Book, {
    serializer: BookSerializer,
    filters: { fields: { shelf: ['exact', 'in'], price: ['lt', 'is_null'] } },
    maximumBulkSize: 50,
  }),
  ObserveKinds,
  ObserveRows,
  BulkCreate,
  BulkPatch,
  BulkDelete,
) {}

export const libraryRoutes = [
  path('/books/', BookConsumer),
  path('/desk/', DeskConsumer),
  path('/catalogue/', CatalogueConsumer),
  path('/shelves/', ShelfConsumer),
  path('/loans/', LoanConsumer),
  path('/cards/', CardConsumer),
  path('/entries/', EntryConsumer),
  path('/labels/', LabelConsumer),
  path('/spines/', SpineConsumer),
  path('/priced/', PricedConsumer),
  path('/checked/', CheckedConsumer),
  path('/lines/', LineConsumer),
  path('/authors/', AuthorConsumer),
  path('/members/', MemberConsumer),
];

/** The books that the frames of the pages show. */
export async function fillLibrary(em: EntityManager): Promise<void> {
  const lem = em.create(Author, { name: 'Stanislaw Lem' });
  const woolf = em.create(Author, { name: 'Virginia Woolf' });
  const fiction = em.create(Genre, { name: 'fiction' });
  const satire = em.create(Genre, { name: 'satire' });
  await em.flush();
  em.create(Book, { title: 'Solaris', price: '7.50', shelf: 'L1', author: lem, genres: [fiction] });
  await em.flush();
  em.create(Book, { title: 'Orlando', price: '4.00', shelf: 'W1', author: woolf, genres: [fiction, satire] });
  await em.flush();
  em.create(Book, { title: 'The Cyberiad', shelf: 'L1', author: lem, genres: [satire], onLoan: true });
  await em.flush();
}
