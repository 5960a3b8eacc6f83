import { Collection, type Rel } from '@mikro-orm/core';
import {
  Embeddable,
  Embedded,
  Entity,
  Filter,
  ManyToMany,
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
  Serializer,
  type SerializerContext,
  StreamedList,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { entitiesOf } from '../support/queries.js';

@Entity()
class Painter {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

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
}

@Entity({ forceConstructor: true })
class Poster {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title: string;
  constructor(title: string) {
    this.title = title.toUpperCase();
  }
}

@Entity()
class Ticket {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @OnLoad() note() {}
}

@Entity()
class Painting {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title!: string;
  @Property({ type: 'integer' }) year!: number;
  @ManyToOne(() => Painter) painter!: Rel<Painter>;
  @ManyToOne(() => Museum) museum!: Rel<Museum>;
  @ManyToMany(() => Painter) restorers = new Collection<Painter>(this);
}

@injectable()
class PainterSerializer extends ModelSerializer(Painter, { fields: ['name'] }) {}
@injectable()
class PlainSerializer extends ModelSerializer(Painting, {
  fields: ['id', 'title', 'year', 'painter', 'restorers'],
  nested: { painter: PainterSerializer },
  computed: ['age'],
  reads: { age: ['year'] },
}) {
  age({ year }: Pick<Painting, 'year'>) {
    return 2026 - year;
  }
}
@injectable()
class AgeSerializer extends ModelSerializer(Painting, { fields: ['id'], computed: ['age'] }) {
  age({ year }: Painting) {
    return 2026 - year;
  }
}
@injectable()
class StaffRights implements Rights<'staff'> {
  rightsOf({ kwargs }: ActionContext) {
    return kwargs['pk'] === 2 ? ('staff' as const) : undefined;
  }
}
@injectable()
class StaffSerializer extends ModelSerializer(Painting, {
  fields: ['id'],
  computed: ['age'],
  rights: { by: StaffRights, fields: { age: 'staff' } },
}) {
  age({ year }: Painting) {
    return 2026 - year;
  }
}
@injectable()
class TitleSerializer extends Serializer<Painting, string> {
  toData({ title }: Painting) {
    return title;
  }
}
@injectable()
class LoudSerializer extends ModelSerializer(Painting, { fields: ['id'] }) {
  override toData(painting: Painting, context: SerializerContext) {
    return super.toData(painting, context);
  }
}
@injectable()
class MuseumSerializer extends ModelSerializer(Painting, { fields: ['id', 'museum'] }) {}
@injectable()
class PosterSerializer extends ModelSerializer(Poster as never, { fields: ['id', 'title'] } as never) {}

@injectable()
class PrintSerializer extends ModelSerializer(Print, { fields: ['id', 'frame'], readOnly: ['frame'] }) {}
@injectable()
class HallSerializer extends ModelSerializer(Museum, { fields: ['id'] }) {}
@injectable()
class TicketSerializer extends ModelSerializer(Ticket, { fields: ['id'] }) {}
@injectable()
class KeySerializer extends ModelSerializer(Painting, { fields: ['id'] }) {}
@injectable()
class KeylessSerializer extends ModelSerializer(Painting, { fields: ['title'] }) {}

@injectable()
class LooksAtPaintings implements Permission {
  hasObjectPermission() {
    return true;
  }
}

const plain = ModelConsumer(Painting, { serializer: PlainSerializer });

@Consumer()
class PlainConsumer extends mix(plain, List, Retrieve) {
  protected override getQuery() {
    return { year: { $gt: 0 } };
  }
}
@Consumer()
class OrderedConsumer extends mix(
  ModelConsumer(Painting, {
    serializer: PlainSerializer,
    paginator: CursorPaginator,
    filters: { fields: ['museum'], ordering: ['year'] },
  }),
  StreamedList,
) {}
@Consumer()
class AgeConsumer extends mix(ModelConsumer(Painting, { serializer: AgeSerializer }), List, Retrieve) {}
@Consumer()
class TitleConsumer extends mix(ModelConsumer(Painting, { serializer: TitleSerializer }), List) {}
@Consumer()
class LoudConsumer extends mix(ModelConsumer(Painting, { serializer: LoudSerializer }), List) {}
@Consumer()
class MuseumConsumer extends mix(ModelConsumer(Painting, { serializer: MuseumSerializer }), List, Retrieve) {}
@Consumer()
class PosterConsumer extends mix(ModelConsumer(Poster as never, { serializer: PosterSerializer as never }), List) {}

@Consumer()
class PrintConsumer extends mix(ModelConsumer(Print, { serializer: PrintSerializer }), List) {}
@Consumer()
class HallConsumer extends mix(ModelConsumer(Museum, { serializer: HallSerializer }), List, Retrieve) {}
@Consumer()
class TicketConsumer extends mix(ModelConsumer(Ticket, { serializer: TicketSerializer }), List) {}
@Consumer()
class KeylessConsumer extends mix(
  ModelConsumer(Painting, { serializer: KeylessSerializer, paginator: CursorPaginator }),
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
  override retrieve(painting: Painting, context: ActionContext) {
    return super.retrieve(painting, context);
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
@Permissions(LooksAtPaintings)
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
    says: 'none for columns, relations, nested rows, computed fields that say what they read, and a query',
    consumer: PlainConsumer,
    list: never,
    retrieve: never,
  },
  { says: 'none for pages by cursor in the order of columns that are shown', consumer: OrderedConsumer, list: never },
  {
    says: 'those of a computed field that does not say what it reads',
    consumer: AgeConsumer,
    list: always('the computed field AgeSerializer.age, which does not declare what it reads'),
    retrieve: always('the computed field AgeSerializer.age, which does not declare what it reads'),
  },
  {
    says: 'those of a serializer by hand',
    consumer: TitleConsumer,
    list: always('TitleSerializer, which is not a ModelSerializer'),
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
    retrieve: always('the permission LooksAtPaintings, which looks at the object'),
  },
];

describe('The description of an action that reads rows', () => {
  const database = useDatabase('model_rows', [Painter, Museum, Poster, Print, Ticket, Painting]);

  const appWith = (consumer: Case['consumer']) =>
    createApp({ orm: database.orm, container: testProviders().container, routes: [path('/', consumer)] });
  const rowsOf = (consumer: Case['consumer'], name: string) =>
    appWith(consumer)
      .describe()
      .routes[0]?.streams[0]?.actions.find((action) => action.name === name)?.rows;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    const painter = em.create(Painter, { id: 1, name: 'Vermeer' });
    const museum = em.create(Museum, { id: 1, isListed: true });
    for (const id of [1, 2])
      em.create(Painting, { id, title: `View ${id}`, year: 1660, painter, museum, restorers: [painter] });
    em.create(Ticket, { id: 1 });
    em.create(Poster, { id: 1, title: 'Delft' });
    em.create(Print, { id: 1, frame: { wood: 'oak' } });
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
    class StaffConsumer extends mix(ModelConsumer(Painting, { serializer: StaffSerializer }), Retrieve) {}
    const app = appWith(StaffConsumer);
    const client = await connect(app, '/');
    const made = (pk: number) => entitiesOf(() => client.request('retrieve', { pk }));

    expect(rowsOf(StaffConsumer, 'retrieve')).to.deep.equal({
      entities: 'sometimes',
      because: ['the computed field StaffSerializer.age, which does not declare what it reads'],
    });
    expect(await made(1)).to.equal(0);
    expect(await made(2)).to.be.above(0);
    await app.close();
  });

  it('says where it depends on the serializer, or on the order, that a request is given', async () => {
    @Consumer()
    class ChoosingConsumer extends mix(plain, List) {
      protected override getSerializer() {
        return AgeSerializer;
      }
    }
    @Consumer()
    class SortingConsumer extends mix(
      ModelConsumer(Painting, {
        serializer: KeySerializer,
        paginator: CursorPaginator,
        filters: { ordering: ['year'] },
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
        'the order by "year", which KeySerializer does not show',
        'SortingConsumer.getOrder, which may order by what KeySerializer does not show',
      ],
    });
  });

  it('is null for actions that do not list or retrieve', () => {
    @Consumer()
    class ArchiveConsumer extends mix(plain, Retrieve) {
      @DetailAction()
      archive(painting: Painting) {
        return painting;
      }
    }

    expect(rowsOf(ArchiveConsumer, 'archive')).to.equal(null);
  });
});
