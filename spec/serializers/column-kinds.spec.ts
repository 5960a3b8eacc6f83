import { readFile } from 'node:fs/promises';
import {
  ArrayType,
  BigIntType,
  BlobType,
  type EntityProperty,
  EnumArrayType,
  type ScalarReference,
  Type,
  Uint8ArrayType,
} from '@mikro-orm/core';
import { Entity, Enum, Formula, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { columnKind, isComparable } from '#signalbox/serializers/model-columns.js';
import { useDatabase } from '../support/database.js';
import { embeddedDatabase } from '../support/embedded-database.js';
import { RowClient } from '../support/rows.js';
import { Mood } from '../support/specimens.js';

/** Its values are lists. */
class Csv extends Type<string[] | null, string | null> {
  override convertToDatabaseValue(value: string[] | null) {
    return value === null ? null : value.join(',');
  }

  override convertToJSValue(value: string | null) {
    return value === null ? null : value.split(',');
  }

  override getColumnType() {
    return 'varchar(7)';
  }
}

class Money {
  constructor(readonly cents: number) {}
}

/** Its values are objects of a class, and JSON has them as text. */
class MoneyType extends Type<Money | null, number | null> {
  override convertToDatabaseValue(value: Money | null) {
    return value?.cents ?? null;
  }

  override convertToJSValue(value: number | null) {
    return value === null ? null : new Money(value);
  }

  override toJSON(value: Money | null): never {
    return (value && `${value.cents / 100} €`) as never;
  }

  override fromJSON(value: unknown) {
    const [, amount] = /^(\d+(?:\.\d+)?) €$/.exec(String(value)) ?? [];
    if (amount === undefined) throw new TypeError('no money');
    return new Money(Number(amount) * 100);
  }

  override getColumnType() {
    return 'integer';
  }
}

/** A column of each kind that has an entity's value which JSON does not have, or one that the database changes. */
@Entity()
class Sample {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ columnType: 'int[]', nullable: true })
  numbers?: number[];

  @Property({ type: 'array', nullable: true })
  words?: string[];

  @Property({ columnType: 'bigint[]', type: new ArrayType(BigInt), nullable: true })
  bigs?: bigint[];

  @Property({ columnType: 'timestamptz[]', type: 'array', nullable: true })
  instants?: string[];

  @Property({ columnType: 'timestamptz(3)', type: 'string', nullable: true })
  instant?: string;

  @Property({ type: new BigIntType('number'), nullable: true })
  big?: number;

  @Property({ columnType: 'numeric(30,10)', type: 'decimal', runtimeType: 'number', nullable: true })
  price?: number;

  @Property({ columnType: 'numeric(5,2)', nullable: true, type: 'any' })
  weight?: string;

  @Property({ type: BlobType, nullable: true })
  buffer?: Buffer;

  @Property({ type: Uint8ArrayType, nullable: true })
  bytes?: Uint8Array;

  @Property({ columnType: 'bytea', type: 'any', nullable: true })
  raw?: unknown;

  @Property({ columnType: 'inet', type: 'string', nullable: true })
  host?: string;

  @Property({ columnType: 'cidr', type: 'string', nullable: true })
  net?: string;

  @Property({ columnType: 'macaddr', type: 'string', nullable: true })
  card?: string;

  @Property({ type: 'interval', nullable: true })
  span?: string;

  @Property({ columnType: 'interval', type: 'string', nullable: true })
  pause?: string;

  @Enum({ items: () => Mood, array: true, nullable: true })
  moods?: Mood[];

  @Property({ type: new EnumArrayType('Sample.kinds', ['a', 'b']), nullable: true })
  kinds?: string[];

  @Property({ type: Csv, nullable: true })
  csv?: string[] | null;

  @Property({ type: MoneyType, nullable: true })
  money?: Money | null;

  @Property({ type: 'date', nullable: true })
  day?: Date;

  @Property({ type: 'time', nullable: true })
  noon?: string;

  @Property({ columnType: 'real', type: 'float', nullable: true })
  ratio?: number;

  @Property({ type: 'text', lazy: true, ref: true, nullable: true })
  story?: ScalarReference<string>;

  @Property({ type: 'uuid', nullable: true })
  serial?: string;

  @Formula('(select 1 + 1)')
  two?: number;
}

/** A key whose column holds a number. */
class CodeType extends Type<string, number> {
  override convertToDatabaseValue(value: string) {
    return Number(value.slice(2));
  }

  override convertToJSValue(value: number) {
    return `u_${value}`;
  }

  override getColumnType() {
    return 'int';
  }

  override compareAsType() {
    return 'string';
  }
}

@Entity()
class Coded {
  @PrimaryKey({ type: CodeType, autoincrement: false })
  id!: string;

  @Property({ type: 'string' })
  name!: string;
}

@Entity()
class Dated {
  @PrimaryKey({ type: 'datetime', length: 3 })
  id!: Date;

  @Property({ type: 'string' })
  name!: string;
}

const awkward = ['NULL', 'null', ' x ', '\ttab', 'a"b', 'line\nbreak', '', 'a,b', '{', '\\', '\\n', '"'];

const shown: readonly (readonly [field: string, sent: unknown, shown: unknown])[] = [
  ['numbers', [1, 2], [1, 2]],
  ['numbers', [], []],
  ['words', awkward, awkward],
  ['bigs', ['9007199254740993', 2], ['9007199254740993', '2']],
  ['instants', ['2026-01-31T12:00:00Z'], ['2026-01-31 12:00:00+00']],
  ['instant', '2026-01-31T12:00:00.5Z', '2026-01-31 12:00:00.5+00'],
  ['big', '9007199254740991', 9007199254740991],
  ['price', '12.5', 12.5],
  ['weight', 5, '5.00'],
  ['buffer', 'AQL/', 'AQL/'],
  ['buffer', '', ''],
  ['bytes', 'AQL/', 'AQL/'],
  ['raw', 'AQ==', 'AQ=='],
  ['host', '10.0.0.1/8', '10.0.0.1/8'],
  ['host', '::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['net', '10.0.0.0/8', '10.0.0.0/8'],
  ['net', '2001:db8::/32', '2001:db8::/32'],
  ['card', '08:00:2B:01:02:03', '08:00:2b:01:02:03'],
  ['span', 'P1Y14M2DT3H4M5.6S', 'P2Y2M2DT3H4M5.6S'],
  ['pause', 'PT90M', 'PT1H30M'],
  ['pause', 'P-1DT-2.5S', 'P-1DT-2.5S'],
  ['pause', 'P2W', 'P14D'],
  ['pause', 'PT0S', 'PT0S'],
  ['moods', ['calm', 'wild'], ['calm', 'wild']],
  ['kinds', ['b'], ['b']],
  ['csv', ['a', 'b'], ['a', 'b']],
  ['money', '12.5 €', '12.5 €'],
  ['day', '2026-01-31', '2026-01-31'],
  ['noon', '12:00', '12:00:00'],
  ['ratio', 16777217, 16777216],
  ['story', 'long', 'long'],
  ['serial', '0000000A00004000800000000000000B', '0000000a-0000-4000-8000-00000000000b'],
];

const refused: readonly (readonly [field: string, sent: unknown, text: string])[] = [
  ['bigs', [1.5], 'Item 0: A valid integer is required.'],
  ['instants', ['soon'], 'Item 0: Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
  ['big', '9007199254740992', 'This integer is too large.'],
  ['big', '-9007199254740992', 'This integer is too large.'],
  ['price', '1234567.1234567891', 'Ensure that there are no more than 15 digits in total.'],
  ['weight', '1.234', 'Ensure that there are no more than 2 decimal places.'],
  ['weight', '1234.5', 'Ensure that there are no more than 3 digits before the decimal point.'],
  ['buffer', 'A', 'Must be base64.'],
  ['buffer', { type: 'Buffer', data: [1] }, 'Must be base64.'],
  ['bytes', [1], 'Must be base64.'],
  ['raw', '*', 'Must be base64.'],
  ['host', '10.0.0', 'Must be a valid IP address, with or without a prefix: 10.0.0.1, 10.0.0.0/8.'],
  ['host', '10.0.0.1/33', 'Must be a valid IP address, with or without a prefix: 10.0.0.1, 10.0.0.0/8.'],
  ['host', 5, 'Must be a valid IP address, with or without a prefix: 10.0.0.1, 10.0.0.0/8.'],
  ['net', '10.0.0.1/8', 'Must be a valid network: 10.0.0.0/8.'],
  ['net', '2001:db8::1/32', 'Must be a valid network: 10.0.0.0/8.'],
  ['card', '08:00', 'Must be a valid MAC address.'],
  ['span', '1 day', 'Duration has wrong format. Use ISO 8601: P1DT2H30M.'],
  ['span', { days: 1 }, 'Duration has wrong format. Use ISO 8601: P1DT2H30M.'],
  ['pause', 'P', 'Duration has wrong format. Use ISO 8601: P1DT2H30M.'],
  ['pause', 'P1DT', 'Duration has wrong format. Use ISO 8601: P1DT2H30M.'],
  ['moods', ['sad'], 'Item 0: "sad" is not a valid choice.'],
  ['kinds', ['c'], 'Item 0: "c" is not a valid choice.'],
  ['kinds', [['a']], 'Item 0: ["a"] is not a valid choice.'],
  ['csv', 5, 'Not a valid value.'],
  ['csv', ['long', 'long'], 'Ensure this field has no more than 7 characters.'],
  ['money', '12.5', 'Not a valid value.'],
  ['money', '99999999999 €', 'Ensure this value is less than or equal to 2147483647.'],
  ['story', 5, 'Not a valid string.'],
];

describe('A column of each kind', () => {
  const database = useDatabase('column_kinds', [Sample, Coded, Dated]);

  for (const [field, sent, said] of shown) {
    it(`shows ${JSON.stringify(sent)} in ${field} as ${JSON.stringify(said)} in the reply, the event and each read, and takes that back`, async () => {
      await using client = await RowClient.open(database.orm, Sample, { fields: ['id', field] });
      expect(await client.created({ [field]: sent })).to.deep.equal({ id: 1, [field]: said });
      expect(await client.patched(1, { [field]: said })).to.deep.equal({ id: 1, [field]: said });
      expect(await client.events()).to.have.length(1);
    });

    it(`shows ${JSON.stringify(sent)} in ${field} the same where an entity is needed`, async () => {
      await using client = await RowClient.open(
        database.orm,
        Sample,
        { fields: ['id', field], computed: ['same'] },
        {},
        { same: () => true },
      );
      expect(await client.created({ [field]: sent })).to.deep.equal({ id: 1, [field]: said, same: true });
    });
  }

  for (const [field, sent, text] of refused) {
    it(`refuses ${JSON.stringify(sent)} in ${field}`, async () => {
      await using client = await RowClient.open(database.orm, Sample, { fields: ['id', field] });
      expect(await client.send('create', { data: { [field]: sent } })).to.deep.equal([400, [{ [field]: [text] }]]);
    });
  }

  it('shows what a formula says, and takes nothing for it', async () => {
    await using client = await RowClient.open(database.orm, Sample, { fields: ['id', 'two'] });
    expect(await client.created({ two: 7 })).to.deep.equal({ id: 1, two: 2 });
  });

  it('shows what a trigger has made of the row', async () => {
    const em = database.orm.em.fork();
    await em.execute(`
      create function louder() returns trigger language plpgsql as 'begin new.noon = ''13:00''; return new; end';
      create trigger louder before insert or update on sample for each row execute function louder();
    `);
    try {
      await using client = await RowClient.open(database.orm, Sample, { fields: ['id', 'noon'] });
      expect(await client.created({ noon: '12:00' })).to.deep.equal({ id: 1, noon: '13:00:00' });
      expect(await client.patched(1, { noon: '14:00' })).to.deep.equal({ id: 1, noon: '13:00:00' });
    } finally {
      await em.execute('drop trigger louder on sample; drop function louder');
    }
  });

  it('changes a lazy value, also to null', async () => {
    await using client = await RowClient.open(database.orm, Sample, { fields: ['id', 'story'] });
    await client.created({ story: 'one' });
    expect(await client.patched(1, { story: 'two' })).to.deep.equal({ id: 1, story: 'two' });
    expect(await client.patched(1, { story: null })).to.deep.equal({ id: 1, story: null });
  });

  for (const { entity, id, others } of [
    { entity: Coded, id: 'u_5', others: ['5', 5, 'u_x', 'u_2147483648', { $ne: null }] },
    { entity: Dated, id: '2026-01-31T12:00:00.500Z', others: ['2026-01-31T12:00:00.501Z', 'x', 5, { $ne: null }] },
  ]) {
    it(`finds a row of ${entity.name} by the key that it shows, and by no other`, async () => {
      await using client = await RowClient.open(database.orm, entity, { fields: ['id', 'name'] });
      expect(await client.created({ id, name: 'one' })).to.deep.equal({ id, name: 'one' });
      expect(await client.patched(id, { name: 'two' })).to.deep.equal({ id, name: 'two' });
      for (const other of others)
        expect(await client.send('retrieve', { pk: other }), JSON.stringify(other)).to.deep.equal([
          404,
          ['Not found.'],
        ]);
      expect(await client.send('subscribe_instance', { pk: id })).to.deep.equal([201, null]);
      expect(await client.send('delete', { pk: id })).to.deep.equal([204, null]);
      expect((await client.events()).at(-1)).to.deep.equal({ pk: id });
    });
  }
});

describe('A column of each kind on PGlite', () => {
  const database = embeddedDatabase([Sample, Coded, Dated]);

  it('is shown as on a server', async () => {
    const fields = shown.filter(([field], index) => shown.findIndex(([name]) => name === field) === index);
    await using client = await RowClient.open(database.orm, Sample, {
      fields: ['id', ...fields.map(([field]) => field)],
    });
    const data = Object.fromEntries(fields.map(([field, sent]) => [field, sent]));
    const said = Object.fromEntries(fields.map(([field, , value]) => [field, value]));
    expect(await client.created(data)).to.deep.equal({ id: 1, ...said });
    expect(await client.patched(1, said)).to.deep.equal({ id: 1, ...said });
    expect(await client.events()).to.have.length(1);
  });
});

describe('The page of column types', () => {
  const typesIn = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, type = '']) => type);
  const propOf = (type: string) => ({ columnTypes: [type], runtimeType: 'string' }) as EntityProperty;
  let page: string;

  before(async () => {
    page = await readFile(new URL('../../../docs/column-types.md', import.meta.url), 'utf8');
  });

  it('says which types clients may send, and which can be compared', () => {
    const rows = [...page.matchAll(/^\| (`[^|]+) \|.*\| (yes|no) \|$/gm)];
    const compared = rows.flatMap(([, cell, said]) => typesIn(cell).map((type) => [type, said === 'yes'] as const));
    expect(compared).to.have.length(27);
    const withLengths = ['varchar(255)', 'numeric(10,2)', 'timestamptz(0)', 'time(0)'].map(
      (type) => [type, true] as const,
    );
    for (const [type, isCompared] of [...compared, ...withLengths]) {
      expect(columnKind(propOf(type)).refusal, type).to.equal(undefined);
      expect(isComparable(propOf(type)), type).to.equal(isCompared);
    }
  });

  it('says which types are refused', () => {
    const [, cell] = /column of another type: (.+?), a domain \|/.exec(page) ?? [];
    expect(typesIn(cell)).to.include('money');
    for (const type of typesIn(cell)) expect(columnKind(propOf(type)).refusal, type).to.be.a('string');
  });
});
