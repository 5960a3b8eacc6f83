import { type Platform, Type } from '@mikro-orm/core';
import { Embeddable, Embedded, Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
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
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { entitiesMadeBy } from '../support/made-entities.js';
import { RowClient } from '../support/rows.js';
import { useServer } from '../support/serving.js';

/** Cents in the database, a decimal text in the row. */
class Cents extends Type<string, number> {
  override convertToDatabaseValue(value: string | number): number {
    return typeof value === 'string' ? Math.round(Number(value) * 100) : value;
  }
  override convertToJSValue(value: number): string {
    return (Number(value) / 100).toFixed(2);
  }
  override getColumnType(_prop: unknown, platform: Platform): string {
    return platform.getIntegerTypeDeclarationSQL({});
  }
}

@Embeddable()
class Mark {
  @Property({ type: 'integer' }) size!: number;
  @Property({ type: 'boolean', nullable: true }) isOld?: boolean | null;
}

@Embeddable()
class Label {
  @Property({ type: 'string', fieldName: 'words', nullable: true }) text?: string | null;
  @Property({ type: 'datetime', nullable: true }) since?: Date | null;
  @Property({ type: 'date', nullable: true }) day?: string | null;
  @Property({ type: 'bigint', nullable: true }) number?: bigint | null;
  @Property({ type: 'json', nullable: true }) extra?: unknown;
  @Property({ type: 'text', lazy: true, nullable: true }) story?: string | null;
  @Property({ type: 'string', hidden: true, nullable: true }) code?: string | null;
  @Embedded(() => Mark, { nullable: true }) mark?: Mark | null;
  @Embedded(() => Mark, { object: true, nullable: true }) stamp?: Mark | null;
}

@Embeddable()
class Price {
  @Property({ type: Cents }) amount!: string;
}

@Entity()
class Parcel {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', default: '' }) note = '';
  @Embedded(() => Label, { nullable: true }) inline?: Label | null;
  @Embedded(() => Label, { prefix: 'at_', nullable: true }) prefixed?: Label | null;
  @Embedded(() => Label, { object: true, nullable: true }) object?: Label | null;
  @Embedded(() => Label, { array: true, nullable: true }) list?: Label[] | null;
  @Embedded(() => Label, { object: true, lazy: true, nullable: true }) lazy?: Label | null;
  @Embedded(() => Price, { nullable: true }) price?: Price | null;
  @Embedded(() => Price, { array: true, nullable: true }) prices?: Price[] | null;
}

@Entity()
class Crate {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Parcel) parcel!: Parcel;
  @Embedded(() => Label) label!: Label;
}

const full = {
  text: 'Oak',
  since: '2026-01-31T12:00:00.000Z',
  day: '2026-01-31',
  number: '9007199254740993',
  extra: { a: [1, null] },
  story: 'long',
  mark: { size: 1, isOld: true },
  stamp: { size: 2, isOld: null },
};
const empty = {
  text: null,
  since: null,
  day: null,
  number: null,
  extra: null,
  story: null,
  mark: null,
  stamp: null,
};

const single = ['inline', 'prefixed', 'object', 'lazy'] as const;
const kinds = [...single, 'list'] as const;

describe('Embedded values that are shown without entities', () => {
  const database = useDatabase('rows_with_embedded_values', [Parcel, Crate]);
  const serve = useServer();
  const parcels = (...fields: string[]) => RowClient.open(database.orm, Parcel, { fields: ['id', ...fields] });

  for (const kind of kinds) {
    const value = (one: object): unknown => (kind === 'list' ? [one, one] : one);

    it(`are shown alike by the reply, the event and each read (${kind})`, async () => {
      await using client = await parcels(kind);
      const shown = { id: 1, [kind]: value(full) };
      expect(await client.created({ [kind]: value({ ...full, code: 'secret' }) })).to.deep.equal(shown);
      expect(await client.patched(1, { [kind]: value({ mark: { size: 3 } }) })).to.deep.equal({
        id: 1,
        [kind]: value({ ...empty, mark: { size: 3, isOld: null } }),
      });
      expect(await client.patched(1, { [kind]: null })).to.deep.equal({ id: 1, [kind]: null });
    });

    it(`make no entity where they are listed, retrieved, written beside and sent as events (${kind})`, async () => {
      @injectable()
      class ParcelSerializer extends ModelSerializer(Parcel, { fields: ['id', 'note', kind] }) {}
      @Consumer()
      class Parcels extends mix(
        ModelConsumer(Parcel, { serializer: ParcelSerializer }),
        List,
        Retrieve,
        Create,
        Patch,
        ObserveInstance,
      ) {}
      const { app } = serve([path('/', Parcels)], { orm: database.orm });
      const client = await connect(app, '/');
      await client.request('create', { data: { [kind]: value(full) } });
      await client.request('subscribe_instance', { pk: 1, request_id: 'event' });
      await app.idle();
      const row = { id: 1, note: '', [kind]: value(full) };
      const made = await entitiesMadeBy(async () => {
        expect((await client.request('list')).data).to.deep.equal([row]);
        expect((await client.request('retrieve', { pk: 1 })).data).to.deep.equal(row);
        const changed = { ...row, note: 'new' };
        expect((await client.request('patch', { pk: 1, data: { note: 'new' } })).data).to.deep.equal(changed);
        await app.idle();
        expect(client.frames.at(-1)).to.deep.include({ request_id: 'event', action: 'update', data: changed });
      });
      expect(made).to.equal(0);
    });
  }

  it('show values of a type of the application as it does', async () => {
    await using client = await parcels('price', 'prices');
    const shown = { id: 1, price: { amount: '1.50' }, prices: [{ amount: '0.05' }] };
    expect(await client.created({ price: { amount: '1.50' }, prices: [{ amount: '0.05' }] })).to.deep.equal(shown);
    const made = await entitiesMadeBy(async () => {
      expect(await client.send('list')).to.deep.equal([200, [shown]]);
      expect(await client.send('retrieve', { pk: 1 })).to.deep.equal([200, shown]);
    });
    expect(made).to.equal(0);
  });

  for (const kind of ['inline', 'prefixed'] as const) {
    it(`are there where only a column of theirs has a value that is not shown (${kind})`, async () => {
      await using client = await parcels(kind);
      expect(await client.created({ [kind]: { code: 'secret' } })).to.deep.equal({ id: 1, [kind]: empty });
      expect(await client.patched(1, { [kind]: { story: 'long' } })).to.deep.equal({
        id: 1,
        [kind]: { ...empty, story: 'long' },
      });
    });
  }

  for (const kind of single) {
    it(`show lazy columns where entities are made, too (${kind})`, async () => {
      const options = { fields: ['id', kind], computed: ['nothing'] };
      const nothing = () => null;
      await using client = await RowClient.open(database.orm, Parcel, options, undefined, { nothing });
      const row = { id: 1, [kind]: full, nothing: null };
      expect(await client.created({ [kind]: full })).to.deep.equal(row);
      expect(await client.patched(1, { [kind]: full })).to.deep.equal(row);
      expect(await client.events()).to.have.length(1);
    });
  }

  it('are those of a row that may not lack them, although all columns are null', async () => {
    await database.orm.em.execute(
      `insert into parcel (id) values (1); insert into crate (id, parcel_id) values (1, 1)`,
    );
    await using client = await RowClient.open(database.orm, Crate, { fields: ['id', 'label'] });
    expect(await client.send('retrieve', { pk: 1 })).to.deep.equal([200, { id: 1, label: empty }]);
  });

  it('are those of rows that are nested in others', async () => {
    @injectable()
    class ParcelSerializer extends ModelSerializer(Parcel, { fields: ['inline', 'prefixed', 'object', 'list'] }) {}
    await using parcel = await parcels(...kinds);
    const values = { inline: full, prefixed: null, object: full, list: [full] };
    await parcel.send('create', { data: values });
    await using client = await RowClient.open(database.orm, Crate, {
      fields: ['id', 'parcel'],
      nested: { parcel: ParcelSerializer },
      readOnly: ['parcel'],
    });
    await database.orm.em.execute(`insert into crate (id, parcel_id) values (1, 1)`);
    const made = await entitiesMadeBy(async () => {
      expect(await client.send('list')).to.deep.equal([200, [{ id: 1, parcel: values }]]);
    });
    expect(made).to.equal(0);
  });

  for (const [json, shown] of [
    [`'null'`, null],
    [`'[]'`, empty],
    [`'"text"'`, empty],
    [`'{"words": "x", "other": 1, "mark": []}'`, { ...empty, text: 'x', mark: { size: null, isOld: null } }],
  ] as const) {
    it(`show JSON that others wrote member by member: ${json}`, async () => {
      await database.orm.em.execute(`insert into parcel (id, object, list) values (1, ${json}, ${json})`);
      await using client = await parcels('object', 'list');
      expect(await client.send('retrieve', { pk: 1 })).to.deep.equal([
        200,
        { id: 1, object: shown, list: json === `'[]'` ? [] : null },
      ]);
    });
  }
});

@Embeddable({ abstract: true, discriminatorColumn: 'kind' })
abstract class Animal {
  @Property({ type: 'string' }) kind!: string;
}

@Embeddable({ discriminatorValue: 'cat' })
class Cat extends Animal {
  @Property({ type: 'integer', nullable: true }) lives?: number | null;
}

@Embeddable({ discriminatorValue: 'dog' })
class Dog extends Animal {
  @Property({ type: 'integer', nullable: true }) tricks?: number | null;
}

@Entity()
class Town {
  @PrimaryKey({ type: 'string' }) country!: string;
  @PrimaryKey({ type: 'bigint' }) code!: string;
}

@Embeddable()
class Source {
  @ManyToOne(() => Parcel, { nullable: true }) parcel?: Parcel | null;
  @Property({ type: 'string', nullable: true }) note?: string | null;
}

@Embeddable()
class Origin {
  @ManyToOne(() => Parcel, { nullable: true }) parcel?: Parcel | null;
  @ManyToOne(() => Town, { nullable: true }) town?: Town | null;
  @Property({ type: 'string', nullable: true }) note?: string | null;
}

@Entity()
class Trunk {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', nullable: true }) name?: string | null;
  @Embedded(() => Origin, { nullable: true }) inline?: Origin | null;
  @Embedded(() => Source, { object: true, nullable: true }) object?: Source | null;
  @Embedded(() => Source, { array: true, nullable: true }) list?: Source[] | null;
  @Embedded(() => [Cat, Dog], { nullable: true, prefix: 'pet_' }) pet?: Cat | Dog | null;
  @Embedded(() => [Cat, Dog], { object: true, nullable: true }) petJson?: Cat | Dog | null;
  @Embedded(() => [Cat, Dog], { array: true, nullable: true }) pets?: (Cat | Dog)[] | null;
}

describe('Embedded values with relations, and those of several classes', () => {
  const database = useDatabase('rows_with_embedded_relations', [Trunk, Town, Parcel, Cat, Dog]);
  const town = { country: 'at', code: '9007199254740993' };
  const readOnly = ['inline', 'object', 'list', 'pet', 'petJson', 'pets'];
  const fields = ['id', 'name', ...readOnly];
  const source = { parcel: 7, note: 'x' };
  const origin = { parcel: 7, town, note: 'x' };
  const cat = { kind: 'cat', lives: 9, tricks: null };
  const dog = { kind: 'dog', lives: null, tricks: 3 };
  const rows = [
    { id: 1, name: null, inline: origin, object: source, list: [source], pet: cat, petJson: dog, pets: [dog, cat] },
    { id: 2, name: null, inline: null, object: null, list: null, pet: null, petJson: null, pets: null },
    {
      id: 3,
      name: null,
      inline: { parcel: null, town: null, note: 'y' },
      object: null,
      list: [],
      pet: null,
      petJson: null,
      pets: [null],
    },
  ];

  beforeEach(async () => {
    await database.orm.em.execute(
      `insert into parcel (id) values (7); insert into town (country, code) values ('at', 9007199254740993)`,
    );
    const em = database.orm.em.fork();
    const [parcel, place] = [em.getReference(Parcel, 7), await em.findOneOrFail(Town, { country: 'at' })];
    const inline = Object.assign(new Origin(), { parcel, town: place, note: 'x' });
    const made = () => Object.assign(new Source(), { parcel, note: 'x' });
    const pets = (): [Dog, Cat] => [
      Object.assign(new Dog(), { kind: 'dog', tricks: 3 }),
      Object.assign(new Cat(), { kind: 'cat', lives: 9 }),
    ];
    const [dogged, catted] = pets();
    em.create(Trunk, { inline, object: made(), list: [made()], pet: catted, petJson: dogged, pets: pets() });
    await em.flush();
    await em.execute(`
      insert into trunk (id) values (2);
      insert into trunk (id, inline_note, list, pet_lives, pet_json, pets) values (3, 'y', '[]', 1, '{"kind": "cow"}', '[{"lives": 1}]')`);
  });

  it('make no entity where they are read, and are shown as entities show them', async () => {
    await using client = await RowClient.open(database.orm, Trunk, { fields, readOnly });
    const made = await entitiesMadeBy(async () => {
      expect(await client.send('list')).to.deep.equal([200, rows]);
      expect(await client.send('retrieve', { pk: 1 })).to.deep.equal([200, rows[0]]);
      expect(await client.send('patch', { pk: 3, data: { name: 'z' } })).to.deep.equal([
        200,
        { ...rows[2], name: 'z' },
      ]);
    });
    expect(made).to.equal(0);
    expect(await client.events()).to.deep.equal([{ ...rows[2], name: 'z' }]);
    await using entities = await RowClient.open(
      database.orm,
      Trunk,
      { fields, readOnly, computed: ['none'] },
      undefined,
      {
        none: () => null,
      },
    );
    expect((await entities.send('retrieve', { pk: 1 }))[1]).to.deep.equal({ ...rows[0], none: null });
    expect((await entities.send('retrieve', { pk: 2 }))[1]).to.deep.equal({ ...rows[1], none: null });
  });
});

@Embeddable()
class Sum {
  @Property({ type: 'integer' }) net!: number;
  @Property({ type: 'integer', persist: false }) get gross(): number {
    return this.net * 2;
  }
}

@Embeddable()
class Stay {
  @Property({ type: 'integer' }) nights!: number;
  @Property({ type: 'string', persist: false }) note?: string;
}

@Embeddable({ abstract: true, discriminatorColumn: 'kind' })
abstract class Caged {
  @Property({ type: 'string', hidden: true }) kind!: string;
}

@Embeddable({ discriminatorValue: 'lion' })
class Lion extends Caged {
  @Property({ type: 'integer', nullable: true }) paws?: number | null;
}

@Embeddable({ discriminatorValue: 'tiger' })
class Tiger extends Caged {
  @Property({ type: 'integer', nullable: true }) paws?: number | null;
}

@Entity()
class Bill {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Embedded(() => Sum, { nullable: true }) sum?: Sum | null;
  @Embedded(() => Stay, { object: true, nullable: true }) stay?: Stay | null;
  @Embedded(() => [Lion, Tiger], { object: true, nullable: true }) zoo?: Lion | Tiger | null;
}

@Embeddable()
class Room {
  @Property({ type: 'string' }) name: string;
  constructor(name: string) {
    this.name = name;
  }
}

@Entity()
class Booking {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Embedded(() => Room) room!: Room;
}

const obstacles = [
  ['sum', 'Bill.sum.gross, which is not a plain column', { net: 1, gross: 2 }],
  ['stay', 'Bill.stay.note, which is not a plain column', { nights: 1, note: null }],
  ['zoo', 'Bill.zoo, whose class, one of several, its columns do not determine', { paws: 4 }],
] as const;

describe('An embedded value that its columns do not tell', () => {
  const database = useDatabase('rows_with_told_embedded_values', [Bill, Parcel, Lion, Tiger]);
  const serve = useServer();
  beforeEach(() =>
    database.orm.em.execute(`
      insert into bill (id, sum_net, stay, zoo) values (1, 1, '{"nights": 1}', '{"kind": "lion", "paws": 4}')`),
  );

  for (const [field, because, shown] of obstacles) {
    it(`takes an entity: ${because}`, async () => {
      @injectable()
      class BillSerializer extends ModelSerializer(Bill, { fields: ['id', field], readOnly: [field] }) {}
      @Consumer()
      class Bills extends mix(ModelConsumer(Bill, { serializer: BillSerializer }), List, Retrieve) {}
      const { app } = serve([path('/', Bills)], { orm: database.orm });
      expect(app.describe().routes[0]?.streams[0]?.actions.map(({ rows }) => rows)).to.deep.equal([
        { entities: 'always', because: [because] },
        { entities: 'always', because: [because] },
      ]);
      const connection = await connect(app, '/');
      const { data } = await connection.request('retrieve', { pk: 1 });
      expect(data).to.deep.equal({ id: 1, [field]: shown });
    });
  }

  it('takes an entity: its constructor makes it', async () => {
    @injectable()
    class BookingSerializer extends ModelSerializer(Booking, { fields: ['id', 'room'] }) {}
    @Consumer()
    class Bookings extends mix(ModelConsumer(Booking, { serializer: BookingSerializer }), List) {}
    const orm = await connectOrm(addressOf(database), { entities: [Booking], forceEntityConstructor: [Room] });
    const { app } = serve([path('/', Bookings)], { orm });
    expect(app.describe().routes[0]?.streams[0]?.actions[0]?.rows).to.deep.equal({
      entities: 'always',
      because: ['Booking.room, which is made by its constructor'],
    });
    await app.close();
    await orm.close(true);
  });
});
