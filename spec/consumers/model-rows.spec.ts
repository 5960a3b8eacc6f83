import { type Rel } from '@mikro-orm/core';
import {
  Embeddable,
  Embedded,
  Entity,
  Filter,
  ManyToOne,
  OnLoad,
  PrimaryKey,
  Property,
} from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  ActionContext,
  Consumer,
  CursorPaginator,
  createApp,
  DetailAction,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  type Permission,
  Permissions,
  path,
  Retrieve,
  type Rights,
  type RowsDescription,
  type SerializerContext,
  StreamedList,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Book, BookCard, BookLabel, BookLine, BookSpine, fillLibrary, libraryModels } from '../support/library.js';
import { testProviders } from '../support/providers.js';
import { entitiesOf } from '../support/queries.js';

@Entity()
@Filter({ name: 'listed', cond: { isListed: true }, default: true })
class Museum {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'boolean' }) isListed!: boolean;
}

@Embeddable()
class Frame {
  @Property({ type: 'string' }) wood!: string;
}

@Entity()
class Print {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Embedded(() => Frame) frame = new Frame();
  @ManyToOne(() => Museum) museum!: Rel<Museum>;
}

@Entity({ forceConstructor: true })
class Poster {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title: string;
  constructor(title = '') {
    this.title = title.toUpperCase();
  }
}

@Entity()
class Ticket {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @OnLoad() note() {}
}

@injectable()
class StaffRights implements Rights<'staff'> {
  rightsOf({ kwargs }: ActionContext) {
    return kwargs['pk'] === 2 ? ('staff' as const) : undefined;
  }
}
@injectable()
class StaffSerializer extends ModelSerializer(Book, {
  fields: ['id'],
  computed: ['label'],
  rights: { by: StaffRights, fields: { label: 'staff' } },
}) {
  label({ title, shelf }: Book) {
    return `${title}, ${shelf}`;
  }
}
@injectable()
class LoudSerializer extends ModelSerializer(Book, { fields: ['id'] }) {
  override toData(book: Book, context: SerializerContext) {
    return super.toData(book, context);
  }
}
@injectable()
class MuseumSerializer extends ModelSerializer(Print, { fields: ['id', 'museum'] }) {}
@injectable()
class PosterSerializer extends ModelSerializer(Poster, { fields: ['id', 'title'] }) {}

@injectable()
class PrintSerializer extends ModelSerializer(Print, { fields: ['id', 'frame'], readOnly: ['frame'] }) {}
@injectable()
class HallSerializer extends ModelSerializer(Museum, { fields: ['id'] }) {}
@injectable()
class TicketSerializer extends ModelSerializer(Ticket, { fields: ['id'] }) {}
@injectable()
class KeySerializer extends ModelSerializer(Book, { fields: ['id'] }) {}
@injectable()
class KeylessSerializer extends ModelSerializer(Book, { fields: ['title'] }) {}

@injectable()
class LooksAtBooks implements Permission {
  hasObjectPermission() {
    return true;
  }
}

const plain = ModelConsumer(Book, { serializer: BookCard });

@Consumer()
class PlainConsumer extends mix(plain, List, Retrieve) {
  protected override getQuery() {
    return { shelf: { $ne: '' } };
  }
}
@Consumer()
class LabelConsumer extends mix(ModelConsumer(Book, { serializer: BookLabel }), List, Retrieve) {}
@Consumer()
class OrderedConsumer extends mix(
  ModelConsumer(Book, {
    serializer: BookCard,
    paginator: CursorPaginator,
    filters: { fields: ['shelf'], ordering: ['title'] },
  }),
  StreamedList,
) {}
@Consumer()
class SpineConsumer extends mix(ModelConsumer(Book, { serializer: BookSpine }), List, Retrieve) {}
@Consumer()
class LineConsumer extends mix(ModelConsumer(Book, { serializer: BookLine }), List) {}
@Consumer()
class LoudConsumer extends mix(ModelConsumer(Book, { serializer: LoudSerializer }), List) {}
@Consumer()
class MuseumConsumer extends mix(ModelConsumer(Print, { serializer: MuseumSerializer }), List, Retrieve) {}
@Consumer()
class PosterConsumer extends mix(ModelConsumer(Poster, { serializer: PosterSerializer }), List) {}

@Consumer()
class PrintConsumer extends mix(ModelConsumer(Print, { serializer: PrintSerializer }), List) {}
@Consumer()
class HallConsumer extends mix(ModelConsumer(Museum, { serializer: HallSerializer }), List, Retrieve) {}
@Consumer()
class TicketConsumer extends mix(ModelConsumer(Ticket, { serializer: TicketSerializer }), List) {}
@Consumer()
class KeylessConsumer extends mix(
  ModelConsumer(Book, { serializer: KeylessSerializer, paginator: CursorPaginator }),
  List,
  Retrieve,
) {}
@Consumer()
class OwnListConsumer extends mix(plain, List, Retrieve) {
  override list(context: ActionContext) {
    return super.list(context);
  }
}
@Consumer()
class OwnRetrieveConsumer extends mix(plain, List, Retrieve) {
  @DetailAction()
  override retrieve(book: Book, context: ActionContext) {
    return super.retrieve(book, context);
  }
}
@Consumer()
class OwnObjectConsumer extends mix(plain, List, Retrieve) {
  protected override getObject(key: unknown, context: ActionContext) {
    return super.getObject(key, context);
  }
}
@Consumer()
class OwnContextConsumer extends mix(plain, List) {
  protected override getSerializerContext(context: ActionContext) {
    return super.getSerializerContext(context);
  }
}
@Consumer()
@Permissions(LooksAtBooks)
class GuardedConsumer extends mix(plain, List, Retrieve) {}

const never: RowsDescription = { entities: 'never', because: [] };
const always = (because: string): RowsDescription => ({ entities: 'always', because: [because] });

interface Case {
  readonly says: string;
  readonly consumer: Parameters<typeof path>[1];
  readonly list?: RowsDescription;
  readonly retrieve?: RowsDescription;
}

const cases: readonly Case[] = [
  {
    says: 'none for columns, relations, nested rows and a query',
    consumer: PlainConsumer,
    list: never,
    retrieve: never,
  },
  { says: 'none for computed fields that say what they read', consumer: LabelConsumer, list: never, retrieve: never },
  { says: 'none for pages by cursor in the order of columns that are shown', consumer: OrderedConsumer, list: never },
  {
    says: 'those of a computed field that does not say what it reads',
    consumer: SpineConsumer,
    list: always('the computed field BookSpine.spine, which does not declare what it reads'),
    retrieve: always('the computed field BookSpine.spine, which does not declare what it reads'),
  },
  {
    says: 'those of a serializer by hand',
    consumer: LineConsumer,
    list: always('BookLine, which is not a ModelSerializer'),
  },
  {
    says: 'those of an overridden toData',
    consumer: LoudConsumer,
    list: always('LoudSerializer, which has a toData of its own'),
  },
  {
    says: 'those of a default filter on a relation that is shown',
    consumer: MuseumConsumer,
    list: always('the default filter "listed" of Museum'),
    retrieve: always('the default filter "listed" of Museum'),
  },
  { says: 'none for a default filter on the model itself', consumer: HallConsumer, list: never, retrieve: never },
  { says: 'none for an embedded value', consumer: PrintConsumer, list: never },
  {
    says: 'those of rows that a constructor makes',
    consumer: PosterConsumer,
    list: always('Poster, whose rows are made by its constructor'),
  },
  {
    says: 'those of a hook of the entity',
    consumer: TicketConsumer,
    list: always('Ticket, which has a hook for rows that are loaded'),
  },
  {
    says: 'those of a list with cursors in an order that is not shown',
    consumer: KeylessConsumer,
    list: always('the order by "id", which KeylessSerializer does not show'),
    retrieve: never,
  },
  {
    says: 'those of a list of its own',
    consumer: OwnListConsumer,
    list: always('OwnListConsumer.list, which is its own'),
    retrieve: never,
  },
  {
    says: 'those of a retrieve of its own',
    consumer: OwnRetrieveConsumer,
    list: never,
    retrieve: always('OwnRetrieveConsumer.retrieve, which is its own'),
  },
  {
    says: 'those of a getObject of its own',
    consumer: OwnObjectConsumer,
    list: never,
    retrieve: always('OwnObjectConsumer.getObject, which is its own'),
  },
  {
    says: 'those of a getSerializerContext of its own',
    consumer: OwnContextConsumer,
    list: always('OwnContextConsumer.getSerializerContext, which is its own'),
  },
  {
    says: 'those of a permission for objects',
    consumer: GuardedConsumer,
    list: never,
    retrieve: always('the permission LooksAtBooks, which looks at the object'),
  },
];

describe('The description of an action that reads rows', () => {
  const database = useDatabase('model_rows', [...libraryModels, Museum, Poster, Print, Ticket]);

  const appWith = (consumer: Case['consumer']) =>
    createApp({ orm: database.orm, container: testProviders().container, routes: [path('/', consumer)] });
  const rowsOf = (consumer: Case['consumer'], name: string) =>
    appWith(consumer)
      .describe()
      .routes[0]?.streams[0]?.actions.find((action) => action.name === name)?.rows;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    await fillLibrary(em);
    const museum = em.create(Museum, { id: 1, isListed: true });
    em.create(Ticket, { id: 1 });
    em.create(Poster, { id: 1, title: 'Delft' });
    em.create(Print, { id: 1, frame: { wood: 'oak' }, museum });
    await em.flush();
  });

  for (const { says, consumer, ...expected } of cases) {
    it(`names the entities that are made: ${says}`, async () => {
      for (const name of ['list', 'retrieve'] as const) {
        const rows = expected[name];
        if (!rows) continue;
        expect(rowsOf(consumer, name), name).to.deep.equal(rows);

        const app = appWith(consumer);
        const client = await connect(app, '/');
        const request = name === 'list' ? {} : { pk: 1 };
        const made = await entitiesOf(async () => {
          expect(await client.request(name, request), name).to.deep.include({ response_status: 200 });
        });
        await app.close();
        expect(made > 0, name).to.equal(rows.entities === 'always');
      }
    });
  }

  it('says where it depends on the rights of a request', async () => {
    @Consumer()
    class StaffConsumer extends mix(ModelConsumer(Book, { serializer: StaffSerializer }), Retrieve) {}
    const app = appWith(StaffConsumer);
    const client = await connect(app, '/');
    const made = (pk: number) => entitiesOf(() => client.request('retrieve', { pk }));

    expect(rowsOf(StaffConsumer, 'retrieve')).to.deep.equal({
      entities: 'sometimes',
      because: ['the computed field StaffSerializer.label, which does not declare what it reads'],
    });
    expect(await made(1)).to.equal(0);
    expect(await made(2)).to.be.above(0);
    await app.close();
  });

  it('says where it depends on the serializer, or on the order, that a request is given', async () => {
    @Consumer()
    class ChoosingConsumer extends mix(plain, List) {
      protected override getSerializer() {
        return BookSpine;
      }
    }
    @Consumer()
    class SortingConsumer extends mix(
      ModelConsumer(Book, {
        serializer: KeySerializer,
        paginator: CursorPaginator,
        filters: { ordering: ['shelf'] },
      }),
      List,
    ) {
      protected override getOrder() {
        return { title: 'asc' as const };
      }
    }

    expect(rowsOf(ChoosingConsumer, 'list')).to.deep.equal({
      entities: 'sometimes',
      because: ['ChoosingConsumer.getSerializer, which may give a serializer that needs them'],
    });
    expect(rowsOf(SortingConsumer, 'list')).to.deep.equal({
      entities: 'sometimes',
      because: [
        'the order by "shelf", which KeySerializer does not show',
        'SortingConsumer.getOrder, which may order by what KeySerializer does not show',
      ],
    });
  });

  it('is null for actions that do not list or retrieve', () => {
    @Consumer()
    class ArchiveConsumer extends mix(plain, Retrieve) {
      @DetailAction()
      archive(book: Book) {
        return book;
      }
    }

    expect(rowsOf(ArchiveConsumer, 'archive')).to.equal(null);
  });
});
