import { ArrayType, Type, Uint8ArrayType } from '@mikro-orm/core';
import { Embeddable, Embedded, Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { useDatabase } from '../support/database.js';
import { RowClient } from '../support/rows.js';

/** Minutes in the database and in the row a text: `1:30`. */
class Clock extends Type<string | null, number | null> {
  override convertToDatabaseValue(value: string | null): number | null {
    const [hours, minutes] = value?.split(':').map(Number) ?? [];
    return value === null ? null : Number(hours) * 60 + Number(minutes);
  }
  override convertToJSValue(value: number | null): string | null {
    return value === null ? null : `${Math.floor(value / 60)}:${String(value % 60).padStart(2, '0')}`;
  }
  override compareAsType(): string {
    return 'number';
  }
  override getColumnType(): string {
    return 'integer';
  }
}

@Embeddable()
class Stay {
  @Property({ type: Clock, runtimeType: 'number', nullable: true }) length?: string | null;
  @Property({ type: Uint8ArrayType, nullable: true }) seal?: Uint8Array | null;
  @Property({ type: ArrayType, columnType: 'numeric[]', nullable: true }) prices?: unknown[] | null;
  @Property({ type: 'string', default: 'new' }) state!: string;
}

@Embeddable()
class Trip {
  @Embedded(() => Stay, { nullable: true }) first?: Stay | null;
  @Embedded(() => Stay, { array: true, nullable: true }) more?: Stay[] | null;
}

@Embeddable()
class Span {
  @Property({ columnType: 'interval', type: 'string', nullable: true }) time?: string | null;
  @Property({ type: 'string', defaultRaw: `'raw'` }) state!: string;
}

@Embeddable()
class Sum {
  @Property({ type: 'integer' }) net!: number;
  @Property({ type: 'integer', generated: '(sum_net * 2) stored' }) gross!: number;
}

@Entity()
class Guest {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: Clock, runtimeType: 'number', nullable: true }) length?: string | null;
  @Embedded(() => Stay, { nullable: true }) inline?: Stay | null;
  @Embedded(() => Stay, { object: true, nullable: true }) object?: Stay | null;
  @Embedded(() => Stay, { array: true, nullable: true }) list?: Stay[] | null;
  @Embedded(() => Trip, { nullable: true }) trip?: Trip | null;
  @Embedded(() => Span) span!: Span;
  @Embedded(() => Sum) sum!: Sum;
}

const stay = { length: '1:30', seal: 'AQI=', prices: [], state: 'new' };
const later = { length: '26:05', seal: null, prices: null, state: 'old' };
const rest = { span: { time: 'PT1H', state: 'x' }, sum: { net: 1 } };
/** A computed field makes each row an entity. */
const byEntities = [{ computed: ['none'] }, { none: null }] as const;

describe('A member of an embedded value', () => {
  const database = useDatabase('members_of_embedded_values', [Guest]);
  const guests = (field: string, options: object = {}) =>
    RowClient.open(
      database.orm,
      Guest,
      { fields: ['id', field, 'span', 'sum'], writeOnly: ['span', 'sum'], ...options },
      undefined,
      {
        none: () => null,
      },
    );

  const values: Readonly<Record<string, (one: object) => unknown>> = {
    inline: (one) => one,
    object: (one) => one,
    list: (one) => [one, one],
    trip: (one) => ({ first: one, more: [one] }),
  };

  for (const [field, embed] of Object.entries(values))
    for (const [ways, [options, more]] of Object.entries({ rows: [{}, {}] as const, entities: byEntities })) {
      it(`has a value of its type, whatever the compiler calls it (${field}, shown by ${ways})`, async () => {
        await using client = await guests(field, options);
        const shown = (one: object) => ({ id: 1, [field]: embed(one), ...more });
        expect(await client.created({ [field]: embed(stay), ...rest })).to.deep.equal(shown(stay));
        expect(await client.patched(1, { [field]: embed(stay) })).to.deep.equal(shown(stay));
        expect(await client.events()).to.have.length(1);
        expect(await client.patched(1, { [field]: embed(later) })).to.deep.equal(shown(later));
        const put = { [field]: embed(stay), ...rest };
        expect(await client.send('update', { pk: 1, data: put })).to.deep.equal([200, shown(stay)]);
      });

      it(`has its default where a new value lacks it (${field}, shown by ${ways})`, async () => {
        await using client = await guests(field, options);
        const none = { length: null, seal: null, prices: null, state: 'new' };
        const sent = { length: null };
        expect(await client.created({ [field]: embed(later), ...rest })).to.deep.equal({
          id: 1,
          [field]: embed(later),
          ...more,
        });
        expect(await client.patched(1, { [field]: embed(sent) })).to.deep.equal({
          id: 1,
          [field]: embed(none),
          ...more,
        });
      });
    }

  it('is like a column of its own type', async () => {
    await using client = await guests('length');
    expect(await client.created({ length: '1:30', ...rest })).to.deep.equal({ id: 1, length: '1:30' });
    expect(await client.patched(1, { length: '2:00' })).to.deep.equal({ id: 1, length: '2:00' });
  });

  it('is a number of a list as JSON has it, a text', async () => {
    await using client = await guests('object');
    const sent = { ...stay, prices: ['1.50', 2] };
    const shown = { id: 1, object: { ...stay, prices: ['1.50', '2'] } };
    expect(await client.created({ object: sent, ...rest })).to.deep.equal(shown);
    expect(await client.patched(1, { object: shown.object })).to.deep.equal(shown);
    expect(await client.events()).to.have.length(1);
  });

  it('is a duration, and keeps the value of a column that alone has a default where it is left out', async () => {
    await using client = await RowClient.open(database.orm, Guest, {
      fields: ['id', 'span', 'sum'],
      writeOnly: ['sum'],
    });
    expect(await client.created({ ...rest, span: { time: 'PT1H' } })).to.deep.equal({
      id: 1,
      span: { time: 'PT1H', state: 'raw' },
    });
    expect(await client.patched(1, { span: { time: 'P1D', state: 'x' } })).to.deep.equal({
      id: 1,
      span: { time: 'P1D', state: 'x' },
    });
    expect(await client.patched(1, { span: { time: 'PT1H' } })).to.deep.equal({
      id: 1,
      span: { time: 'PT1H', state: 'x' },
    });
  });

  it('is a generated column, shown alike where what was shown is sent back', async () => {
    const options = { fields: ['id', 'span', 'sum'], writeOnly: ['span'], computed: ['none'] };
    await using client = await RowClient.open(database.orm, Guest, options, undefined, { none: () => null });
    const shown = { id: 1, sum: { net: 1, gross: 2 }, none: null };
    expect(await client.created(rest)).to.deep.equal(shown);
    expect(await client.patched(1, { sum: shown.sum })).to.deep.equal(shown);
    expect(await client.patched(1, { sum: { net: 2 } })).to.deep.equal({ ...shown, sum: { net: 2, gross: 4 } });
  });
});

@Embeddable()
class Referring {
  @Property({ type: 'text', ref: true }) text!: unknown;
}

@Embeddable()
class Counting {
  @Property({ type: 'datetime' }) get now(): Date {
    return new Date(0);
  }
}

@Embeddable()
class Versioned {
  @Property({ type: 'integer', version: true }) version!: number;
}

@Embeddable()
class Lasting {
  @Property({ columnType: 'interval', type: 'string' }) time!: string;
}

@Embeddable()
class Sealed {
  @Property({ type: 'blob' }) seal!: Buffer;
}

@Embeddable()
class Flagged {
  @Property({ type: ArrayType, columnType: 'boolean[]' }) flags!: boolean[];
}

@Embeddable()
class Doubled {
  @Property({ type: 'integer', generated: '(1 + 1) stored' }) double!: number;
}

class Upper extends Type<string, string> {
  override convertToJSValueSQL(key: string) {
    return `upper(${key})`;
  }
  override getColumnType() {
    return 'text';
  }
}

@Embeddable()
class Shouting {
  @Property({ type: Upper }) text!: string;
}

@Embeddable()
class Defaulting {
  @Property({ type: 'string', defaultRaw: `'raw'` }) state!: string;
}

@Entity()
class Faulty {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Embedded(() => Referring, { nullable: true }) referring?: Referring | null;
  @Embedded(() => Referring, { object: true, nullable: true }) referringJson?: Referring | null;
  @Embedded(() => Counting, { array: true, nullable: true }) counting?: Counting[] | null;
  @Embedded(() => Versioned, { nullable: true }) versioned?: Versioned | null;
  @Embedded(() => Lasting, { object: true, nullable: true }) lasting?: Lasting | null;
  @Embedded(() => Sealed, { array: true, nullable: true }) sealed?: Sealed[] | null;
  @Embedded(() => Flagged, { object: true, nullable: true }) flagged?: Flagged | null;
  @Embedded(() => Doubled, { object: true, nullable: true }) doubledJson?: Doubled | null;
  @Embedded(() => Doubled, { nullable: true }) doubled?: Doubled | null;
  @Embedded(() => Shouting, { nullable: true }) shouting?: Shouting | null;
  @Embedded(() => Defaulting, { object: true, nullable: true }) defaulting?: Defaulting | null;
}

const reference =
  'which is in a reference: within embedded values MikroORM writes the reference, and not its value. Declare it without ref: true.';

const lost: Readonly<Record<string, string>> = {
  referring: `holds text, ${reference}`,
  referringJson: `holds text, ${reference}`,
  counting:
    'holds now, which is a getter: MikroORM stores its value, but cannot set it when it reads the row. ' +
    'Declare it with persist: false, or give it a setter.',
  versioned:
    'holds version, which is a version: MikroORM counts those of entities only. Declare the version in the entity.',
  lasting: "holds time, which is stored as JSON, from which MikroORM reads no duration. Declare it as type: 'string'.",
  sealed:
    'holds seal, which is stored as JSON, from which MikroORM reads no Buffer. Declare it as type: Uint8ArrayType.',
  flagged:
    "holds flags, which is stored as JSON, from which MikroORM reads a list of texts. Declare it as type: 'json'.",
  doubledJson: 'holds double, which is a generated column, and JSON has no columns. Declare it without generated.',
  doubled:
    'holds double, which is a generated column: MikroORM writes null into it where the whole value is null. ' +
    'Declare it in the entity, or an embedded value that is not nullable.',
  shouting:
    'holds text, which is of a type that reads its column by SQL: MikroORM does so for columns of entities only. ' +
    'Read it by convertToJSValue, without convertToJSValueSQL, or declare it in the entity.',
};

describe('A member of an embedded value that MikroORM does not read as it wrote it', () => {
  const database = useDatabase('lost_members', [Faulty]);
  const open = (field: string, readOnly: readonly string[]) =>
    RowClient.open(database.orm, Faulty, { fields: ['id', field], readOnly });

  for (const [field, sentence] of Object.entries(lost))
    it(`is refused at start-up, also where it is shown only: ${field}`, async () => {
      for (const readOnly of [[], [field]])
        expect(await open(field, readOnly).then(String, (error: Error) => error.message)).to.equal(
          `RowSerializer.${field}: ${sentence}`,
        );
    });

  it('is required in JSON, which has no defaults of the database', async () => {
    await using client = await open('defaulting', []);
    expect(await client.send('create', { data: { defaulting: {} } })).to.deep.equal([
      400,
      [{ 'defaulting.state': ['This field is required.'] }],
    ]);
  });
});
