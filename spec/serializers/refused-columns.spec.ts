import { BigIntType, Collection, type Rel, Type } from '@mikro-orm/core';
import {
  Embeddable,
  Embedded,
  Entity,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryKey,
  Property,
} from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { useDatabase } from '../support/database.js';
import { RowClient } from '../support/rows.js';

class PointType extends Type<{ x: number; y: number } | null, string | null> {
  override convertToDatabaseValue(value: { x: number; y: number } | null) {
    return value && `(${value.x},${value.y})`;
  }

  override getColumnType() {
    return 'point';
  }
}

@Entity()
class Post {
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

@Entity()
class Comment {
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

@Embeddable()
class Source {
  @ManyToOne(() => Post, { nullable: true })
  post?: Post | null;

  @Property({ columnType: 'money', type: 'string', nullable: true })
  price?: string | null;
}

@Entity()
class Odd {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ columnType: 'money', type: 'string', nullable: true })
  price?: string | null;

  @Property({ columnType: 'int4range', type: 'string', nullable: true })
  range?: string | null;

  @Property({ columnType: 'point', type: 'any', nullable: true })
  point?: unknown;

  @Property({ columnType: 'xml[]', type: 'array', nullable: true })
  pages?: string[] | null;

  @Property({ columnType: 'int[]', type: 'any', nullable: true })
  numbers?: number[] | null;

  @Property({ columnType: 'jsonb[]', type: 'array', nullable: true })
  facts?: unknown[] | null;

  @Property({ type: PointType, nullable: true })
  spot?: { x: number; y: number } | null;

  @ManyToOne(() => [Post, Comment], { nullable: true })
  target?: Rel<Post | Comment> | null;

  @Embedded(() => Source, { nullable: true })
  source?: Source | null;
}

@Entity({ expression: 'select id from post', view: true })
class PostView {
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

@Entity()
class Box {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @OneToMany(() => Lid, 'box', { eager: true })
  lids = new Collection<Lid>(this);
}

@Entity()
class Lid {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @ManyToOne(() => Box)
  box!: Rel<Box>;
}

@Entity()
class Berth {
  @PrimaryKey({ type: 'bigint' }) dock!: bigint;
  @PrimaryKey({ type: 'integer' }) place!: number;
  @ManyToMany(() => Post, undefined, { owner: true }) posts = new Collection<Post>(this);
}

@Entity()
class Quay {
  @PrimaryKey({ type: new BigIntType('string') }) dock!: string;
  @PrimaryKey({ type: 'integer' }) place!: number;
  @ManyToMany(() => Post, undefined, { owner: true }) posts = new Collection<Post>(this);
}

const way =
  'List it as readOnly, or give the property a type of your own, a class that extends Type: it decides which values are valid.';

describe('What clients cannot send', () => {
  const database = useDatabase('refused_columns', [Post, Comment, Odd, PostView, Box, Lid, Berth, Quay]);

  async function refusal(entity: unknown, options: object): Promise<unknown> {
    try {
      await using client = await RowClient.open(database.orm, entity, { fields: ['id'], ...options });
      return client;
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('are links of rows whose key has several columns, one of them a bigint: MikroORM could not write them', async () => {
    expect(await refusal(Berth, { fields: ['dock', 'place', 'posts'] })).to.equal(
      'RowSerializer.posts: is accepted from clients, but MikroORM links no rows of Berth: its key has several columns, and dock is a bigint. ' +
        "Let dock be a text, @PrimaryKey({ type: new BigIntType('string') }), or list posts as readOnly.",
    );
    expect(await refusal(Berth, { fields: ['dock', 'place', 'posts'], readOnly: ['posts'] })).not.to.be.a('string');
    await using client = await RowClient.open(database.orm, Quay, { fields: ['dock', 'place', 'posts'] });
    await database.orm.em.execute('insert into post (id) values (1)');
    const data = { dock: '9007199254740993', place: 1, posts: [1] };
    expect(await client.send('create', { data })).to.deep.equal([201, data]);
  });

  for (const [field, reason] of [
    ['price', 'is accepted from clients, but nothing is known of the values of money.'],
    ['range', 'is accepted from clients, but nothing is known of the values of int4range.'],
    ['point', 'is accepted from clients, but nothing is known of the values of point.'],
    ['pages', 'is accepted from clients, but nothing is known of the values of xml.'],
    ['numbers', "is accepted from clients, but MikroORM writes no lists into it without type: 'array'."],
    ['facts', 'is accepted from clients, but MikroORM writes no JSON into lists: make it a column of the type json.'],
    ['source', 'holds post, which is accepted from clients, but is a relation.'],
  ] as const) {
    it(`is refused at start-up: ${field}`, async () => {
      expect(await refusal(Odd, { fields: ['id', field] })).to.equal(`RowSerializer.${field}: ${reason} ${way}`);
    });

    it(`is shown nevertheless: ${field}`, async () => {
      await using client = await RowClient.open(database.orm, Odd, { fields: ['id', field], readOnly: [field] });
      expect(await client.created({ [field]: 'x' })).to.have.property(field, null);
    });
  }

  it('is shown alike by all, as the driver reads it', async () => {
    await using client = await RowClient.open(database.orm, Odd, {
      fields: ['id', 'range', 'point', 'numbers', 'spot'],
      readOnly: ['range', 'point', 'numbers'],
    });
    const em = database.orm.em.fork();
    await em.execute(`insert into odd (range, point, numbers) values ('[1,3]', '(1,2)', '{1,2}')`);
    const shown = { id: 1, range: '[1,4)', point: { x: 1, y: 2 }, numbers: [1, 2] };
    expect(await client.patched(1, { spot: { x: 3, y: 4 } })).to.deep.equal({ ...shown, spot: { x: 3, y: 4 } });
  });

  it('is what a type of the application says', async () => {
    await using client = await RowClient.open(database.orm, Odd, { fields: ['id', 'spot'] });
    expect(await client.created({ spot: { x: 1, y: 2 } })).to.deep.equal({ id: 1, spot: { x: 1, y: 2 } });
    expect(await client.send('create', { data: { spot: null } })).to.deep.equal([201, { id: 2, spot: null }]);
  });

  it('is a relation to rows of several classes, which a key alone does not tell apart', async () => {
    expect(await refusal(Odd, { fields: ['id', 'target'], readOnly: ['target'] })).to.equal(
      'RowSerializer.target: refers to rows of several classes, and a key alone does not say of which. ' +
        'Show it by a computed field that says the class and the key, and set it in performCreate.',
    );
  });

  it('is a filter by such a relation', async () => {
    const opened = RowClient.open(database.orm, Odd, { fields: ['id'] }, { filters: { fields: ['target'] } });
    expect(await opened.catch((error: Error) => error.message)).to.equal(
      'Odd.target: refers to rows of several classes, and a key alone does not say of which. ' +
        'Take it out, or write the condition in filterQuery(query, context, kwargs), where you decide what it may say.',
    );
  });

  it('is a row of a view', async () => {
    expect(await refusal(PostView, {})).to.equal(
      'RowConsumer.create: would write PostView, which is a view, and MikroORM writes nothing to views. ' +
        'Leave the mixin out, or write the action create yourself.',
    );
  });
});

describe('A relation that is always loaded', () => {
  const database = useDatabase('eager_relations', [Box, Lid]);

  it('is no change of a list that no code has changed', async () => {
    await using client = await RowClient.open(database.orm, Box, { fields: ['id', 'lids'] });
    const em = database.orm.em.fork();
    await em.execute('insert into box default values; insert into lid (box_id) values (1)');
    expect(await client.send('list')).to.deep.equal([200, [{ id: 1, lids: [1] }]]);
    await using other = await RowClient.open(
      database.orm,
      Box,
      { fields: ['id', 'lids'], computed: ['one'] },
      {},
      { one: () => 1 },
    );
    expect(await other.send('list')).to.deep.equal([200, [{ id: 1, lids: [1], one: 1 }]]);
    expect(other.logger.at('warn')).to.deep.equal([]);
  });
});
