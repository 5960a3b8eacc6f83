import { EntityCaseNamingStrategy, type EntityManager, type Rel, type ScalarReference } from '@mikro-orm/core';
import { Entity, Filter, Formula, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  Consumer,
  createApp,
  demultiplexer,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  Patch,
  type PerformUpdate,
  path,
  Retrieve,
  type Route,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { connectOrm } from '../support/database.js';
import { createDatabase } from '../support/postgres.js';
import { testProviders } from '../support/providers.js';
import { statementsSentBy } from '../support/sent-statements.js';

@Entity()
@Filter({ name: 'kept', cond: { goneAt: null }, default: true })
class Owner {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'datetime', nullable: true }) goneAt?: Date | null;
}

@Entity({ discriminatorColumn: 'kind', discriminatorValue: 'pet' })
@Filter({ name: 'kept', cond: { goneAt: null }, default: true })
class Pet {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'datetime', nullable: true }) goneAt?: Date | null;
  @Property({ type: 'datetime', columnType: 'timestamp(3)', nullable: true }) bornAt?: Date | null;
  @Property({ type: 'date', nullable: true }) day?: string | null;
  @Property({ type: 'integer', columnType: 'positive', nullable: true }) weight?: number | null;
  @Formula((columns) => `upper(${columns.name})`) shout?: string;
  @ManyToOne(() => Owner, { nullable: true }) owner?: Rel<Owner> | null;
}

@Entity({ discriminatorValue: 'dog' })
class Dog extends Pet {
  @Property({ type: 'boolean', nullable: true }) barks?: boolean | null;
}

@Entity()
class Tale {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'text', lazy: true, ref: true, nullable: true }) story?: ScalarReference<string | null>;
}

@injectable()
class TaleSerializer extends ModelSerializer(Tale, { fields: ['id', 'story'], readOnly: ['id'] }) {}

/** Makes an entity for each patch. */
@Consumer()
class TaleConsumer extends mix(ModelConsumer(Tale, { serializer: TaleSerializer }), Patch) {
  protected override performPatch(...given: PerformUpdate<TaleSerializer>) {
    return super.performPatch(...given);
  }
}

const fields = ['id', 'name', 'bornAt', 'day', 'weight', 'shout', 'owner'] as const;

@injectable()
class OwnerSerializer extends ModelSerializer(Owner, { fields: ['id', 'name'] }) {}

@injectable()
class PetSerializer extends ModelSerializer(Pet, {
  fields,
  nested: { owner: OwnerSerializer },
  readOnly: ['weight'],
}) {}

@injectable()
class FlatSerializer extends ModelSerializer(Pet, {
  fields: ['id', 'name', 'bornAt', 'day', 'weight', 'shout'],
  readOnly: ['weight'],
}) {}

@injectable()
class DogSerializer extends ModelSerializer(Dog, { fields: ['id', 'name', 'barks'] }) {}

@injectable()
class PetEntities extends ModelSerializer(Pet, {
  fields,
  nested: { owner: OwnerSerializer },
  readOnly: ['weight'],
  computed: ['nothing'],
}) {
  nothing(): null {
    return null;
  }
}

@injectable()
class DogEntities extends ModelSerializer(Dog, { fields: ['id', 'name', 'barks'], computed: ['nothing'] }) {
  nothing(): null {
    return null;
  }
}

let query: object = {};

@Consumer()
class Pets extends mix(
  ModelConsumer(Pet, { serializer: PetSerializer, paginator: LimitOffsetPaginator }),
  List,
  Retrieve,
) {
  protected override getQuery() {
    return query;
  }
}

@Consumer()
class FlatPets extends mix(ModelConsumer(Pet, { serializer: FlatSerializer }), List) {
  protected override getQuery() {
    return query;
  }
  @Action({ atomic: true })
  async addAndList(context: ActionContext) {
    const em: EntityManager = this.unitOfWork.em;
    em.create(Pet, { name: 'new' });
    return this.list(context);
  }
}

@Consumer()
class PetsByEntities extends mix(
  ModelConsumer(Pet, { serializer: PetEntities, paginator: LimitOffsetPaginator }),
  List,
  Retrieve,
) {
  protected override getQuery() {
    return query;
  }
}

@Consumer()
class Dogs extends mix(ModelConsumer(Dog, { serializer: DogSerializer }), List) {}

@Consumer()
class DogsByEntities extends mix(ModelConsumer(Dog, { serializer: DogEntities }), List) {}

const routes: Route[] = [
  path(
    '/',
    demultiplexer({
      pets: Pets,
      flat: FlatPets,
      petsByEntities: PetsByEntities,
      dogs: Dogs,
      dogsByEntities: DogsByEntities,
      tales: TaleConsumer,
    }),
  ),
];

describe('Rows without entities are shown as entities are', () => {
  let url: string;
  before(async function () {
    this.timeout(60_000);
    url = await createDatabase('rows_under_orm_options');
  });
  beforeEach(() => {
    query = {};
  });

  async function withOrm(options: Partial<Options>, work: (served: Served) => Promise<void>): Promise<void> {
    const orm = await connectOrm(url, { entities: [Owner, Pet, Dog, Tale], ...options });
    await orm.em.execute(`drop schema if exists public, elsewhere cascade; create schema public; create schema elsewhere;
      create domain positive as integer check (value > 0);`);
    await orm.schema.create();
    const em = orm.em.fork();
    const [ann, bob] = [em.create(Owner, { name: 'ann' }), em.create(Owner, { name: 'bob', goneAt: new Date() })];
    const bornAt = new Date('2026-06-01T10:20:30.456Z');
    em.create(Dog, { name: 'rex', barks: true, owner: ann, bornAt, day: '2026-06-01', weight: 5 });
    em.create(Pet, { name: 'tom', owner: bob });
    em.create(Pet, { name: 'gone', goneAt: new Date() });
    await em.flush();
    const limits = { messagesPerSecond: 10_000, messageBurst: 10_000 };
    const app = createApp<readonly Route[]>({
      orm,
      routes,
      container: testProviders().container,
      settings: { limits },
    });
    try {
      const client = await connect(app, '/');
      const request = async (stream: string, action: string, kwargs: Readonly<Record<string, unknown>> = {}) =>
        client.channel(stream).untyped.request(action, kwargs);
      await work({ orm, request });
    } finally {
      await app.close();
      await orm.close(true);
    }
  }

  interface Served {
    readonly orm: MikroORM;
    request(
      stream: string,
      action: string,
      kwargs?: Readonly<Record<string, unknown>>,
    ): Promise<{ readonly response_status: number; readonly data: unknown }>;
  }

  const plain = (data: unknown): unknown =>
    JSON.parse(JSON.stringify(data ?? null, (name, value) => (name === 'nothing' ? undefined : value)));

  async function same({ request }: Served, [one, other]: readonly [string, string], action = 'list', kwargs = {}) {
    const [rows, entities] = [await request(one, action, kwargs), await request(other, action, kwargs)];
    expect([rows.response_status, rows.data]).to.deep.equal([entities.response_status, plain(entities.data)]);
    return rows.data;
  }

  const both = ['pets', 'petsByEntities'] as const;
  const rex = {
    id: 1,
    name: 'rex',
    bornAt: '2026-06-01T10:20:30.456Z',
    day: '2026-06-01',
    weight: 5,
    shout: 'REX',
    owner: { id: 1, name: 'ann' },
  };
  const tom = { id: 2, name: 'tom', bornAt: null, day: null, weight: null, shout: 'TOM', owner: null };

  for (const [title, options] of [
    ['without options', {}],
    ['in UTC', { forceUtcTimezone: true }],
    ['in a zone', { timezone: '+02:00' }],
    ['with forceUndefined', { forceUndefined: true }],
    ['with the names of the entities', { namingStrategy: EntityCaseNamingStrategy }],
    ['with queries of its own for relations', { loadStrategy: 'select-in' }],
    ['with a schema for all', { schema: 'elsewhere' }],
    ['with logged queries', { debug: ['query'], logger: () => undefined }],
  ] as const satisfies readonly (readonly [string, Partial<Options>])[])
    it(title, () =>
      withOrm(options as Partial<Options>, async (served) => {
        expect(await same(served, both)).to.deep.include({ count: 2, results: [rex, tom] });
        expect(await same(served, both, 'retrieve', { pk: 1 })).to.deep.equal(rex);
        expect(await same(served, both, 'retrieve', { pk: 3 })).to.equal(null);
      }),
    );

  it('with a lazy value in a reference that was null, which a patch sets with forceUndefined', () =>
    withOrm({ forceUndefined: true }, async ({ orm, request }) => {
      await orm.em.execute('insert into tale (story) values (null)');
      expect(await request('tales', 'patch', { pk: 1, data: { story: 'long' } })).to.deep.include({
        response_status: 200,
        data: { id: 1, story: 'long' },
      });
      expect(await orm.em.execute('select story from tale')).to.deep.equal([{ story: 'long' }]);
    }));

  it('of a class with others in its table', () =>
    withOrm({}, async (served) => {
      expect(await same(served, ['dogs', 'dogsByEntities'])).to.deep.equal([{ id: 1, name: 'rex', barks: true }]);
    }));

  it('with a value that its domain has not', () =>
    withOrm({}, async (served) => {
      query = { weight: { $gt: -1 } };
      expect(await same(served, both)).to.deep.include({ count: 1, results: [rex] });
      query = { weight: -1 };
      expect(await same(served, both)).to.deep.include({ count: 0, results: [] });
    }));

  it('with a default filter on a relation of the condition', () =>
    withOrm({}, async (served) => {
      query = { owner: { name: { $ne: '' } } };
      expect(await same(served, both)).to.deep.include({ count: 1, results: [rex] });
    }));

  it('with a Date in a column without a zone', () =>
    withOrm({ forceUtcTimezone: true }, async (served) => {
      query = { bornAt: new Date('2026-06-01T10:20:30.456Z') };
      expect(await same(served, both)).to.deep.include({ count: 1, results: [rex] });
      query = { bornAt: '2026-06-01 10:20:30.456' };
      expect(await same(served, both)).to.deep.include({ count: 1, results: [rex] });
    }));

  it('by SQL that onQuery has seen, and changed', () => {
    const seen: string[] = [];
    const onQuery = (sql: string): string => {
      seen.push(sql);
      return `${sql} /* seen */`;
    };
    return withOrm({ onQuery }, async ({ request }) => {
      await request('flat', 'list');
      seen.length = 0;
      const sent = await statementsSentBy(() => request('flat', 'list'));
      expect([seen.length, sent.map(({ text }) => text.endsWith('/* seen */'))]).to.deep.equal([1, [true]]);
    });
  });

  it('of the primary, as it is now, where reads of the ORM go to replicas, and to a cache', () =>
    withOrm(
      { replicas: [{ dbName: 'replica_that_is_not_there' }], resultCache: { global: 60_000 } },
      async (served) => {
        expect(await same(served, both)).to.deep.include({ count: 2, results: [rex, tom] });
        expect(await same(served, both, 'retrieve', { pk: 1 })).to.deep.equal(rex);
        await served.orm.em.execute(`update pet set name = 'max' where id = 1`);
        const max = { ...rex, name: 'max', shout: 'MAX' };
        expect(await same(served, both)).to.deep.include({ count: 2, results: [max, tom] });
        expect(await same(served, both, 'retrieve', { pk: 1 })).to.deep.equal(max);
      },
    ));

  it('with what the request has written, and not flushed, in a transaction', () =>
    withOrm({}, async ({ request }) => {
      const { data } = await request('flat', 'add_and_list');
      expect((data as readonly { name: string }[]).map(({ name }) => name)).to.deep.equal(['rex', 'tom', 'new']);
    }));
});
