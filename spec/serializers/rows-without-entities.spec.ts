import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type EntityManager, type FilterQuery, raw } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  Create,
  Delete,
  demultiplexer,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { addressOf, useDatabase } from '../support/database.js';
import { entitiesMadeBy } from '../support/made-entities.js';
import { statementsSentBy } from '../support/sent-statements.js';
import { useServer } from '../support/serving.js';
import { Mood, Shelf, Specimen, specimens, Tag } from '../support/specimens.js';

const fields = ['id', 'code', 'amount', 'price', 'seen', 'found', 'big', 'extra', 'shelf', 'tags'] as const;

@injectable()
class PlainSerializer extends ModelSerializer(Specimen, { fields }) {}

@injectable()
class ColumnsSerializer extends ModelSerializer(Specimen, { fields: ['id', 'code', 'seen', 'extra', 'shelf'] }) {}

/** Shows the same of entities: a computed field asks for them. */
@injectable()
class EntitySerializer extends ModelSerializer(Specimen, { fields, computed: ['nothing'] }) {
  nothing(): null {
    return null;
  }
}

const run = promisify(execFile);

type Query = FilterQuery<Specimen>;
let query: Query = {};
let order: Record<string, 'asc' | 'desc'> = {};

@Consumer()
class PlainConsumer extends mix(
  ModelConsumer(Specimen, { serializer: PlainSerializer }),
  List,
  Retrieve,
  Create,
  Patch,
  Delete,
  ObserveInstance,
) {
  protected override getOrder() {
    return order;
  }
}

@Consumer()
class ObservedConsumer extends mix(ModelConsumer(Specimen, { serializer: ColumnsSerializer }), ObserveInstance) {}

@injectable()
class ShelfSerializer extends ModelSerializer(Shelf, {
  fields: ['id', 'name', 'specimens'],
  nested: { specimens: ColumnsSerializer },
}) {}

@Consumer()
class ShelfConsumer extends mix(ModelConsumer(Shelf, { serializer: ShelfSerializer }), Retrieve, ObserveInstance) {}

@Consumer()
class QueriedConsumer extends mix(
  ModelConsumer(Specimen, { serializer: PlainSerializer, paginator: LimitOffsetPaginator }),
  List,
) {
  protected override getQuery(): Query {
    return query;
  }
  protected override getOrder() {
    return order;
  }
}

@Consumer()
class QueriedEntities extends mix(
  ModelConsumer(Specimen, { serializer: EntitySerializer, paginator: LimitOffsetPaginator }),
  List,
) {
  protected override getQuery(): Query {
    return query;
  }
  protected override getOrder() {
    return order;
  }
}

const uuid = 'ABCDEF00-0000-4000-8000-000000000001';
const noon = '2026-01-31T12:00:00.000Z';

describe('Rows that are shown without entities', () => {
  const database = useDatabase('rows_without_entities', specimens);
  const serve = useServer();
  let app: App;
  let client: TestConnection;
  let left: Shelf;

  beforeEach(async () => {
    query = {};
    order = {};
    const em = database.orm.em.fork();
    left = em.create(Shelf, { name: 'left' });
    const right = em.create(Shelf, { name: 'right' });
    const [red, blue] = ['red', 'blue'].map((name, index) =>
      em.create(Tag, { id: `00000000-0000-4000-8000-00000000000${index}`, name }),
    ) as [Tag, Tag];
    em.create(Specimen, {
      code: 'a',
      amount: 5,
      small: 1,
      big: 9007199254740993n,
      price: '1.50',
      weight: 0.1,
      ratio: 0.1,
      mood: Mood.calm,
      rare: true,
      found: '2026-01-31',
      seen: new Date(noon),
      noon: '12:00:00',
      serial: uuid.toLowerCase(),
      extra: { a: 1 },
      numbers: [1, 2],
      words: ['x', 'y'],
      notes: 'lazy',
      shelf: left,
      tags: [red, blue],
    });
    em.create(Specimen, { code: 'b', amount: -5, rare: false, extra: 'text', shelf: right, tags: [blue] });
    em.create(Specimen, { code: 'c', shelf: left });
    await em.flush();
    const routes = [
      path(
        '/',
        demultiplexer({
          plain: PlainConsumer,
          observed: ObservedConsumer,
          shelves: ShelfConsumer,
          queried: QueriedConsumer,
          entities: QueriedEntities,
        }),
      ),
    ];
    const limits = { messagesPerSecond: 10_000, messageBurst: 10_000 };
    ({ app } = serve(routes, { orm: database.orm, settings: { limits } }));
    client = await connect(app, '/');
  });

  const request = (stream: string, action: string, kwargs: Readonly<Record<string, unknown>> = {}) =>
    client.channel(stream).untyped.request(action, kwargs);

  const countsOf = async (work: () => Promise<unknown>) => {
    let sent: readonly unknown[] = [];
    const entities = await entitiesMadeBy(async () => {
      sent = await statementsSentBy(work);
    });
    return { entities, statements: sent.length };
  };

  describe('make no entity, and take one statement', () => {
    for (const [title, stream, action, kwargs, expected] of [
      ['list', 'plain', 'list', {}, { entities: 0, statements: 1 }],
      ['retrieve', 'plain', 'retrieve', { pk: 1 }, { entities: 0, statements: 1 }],
      ['a page and its count, which takes one more', 'queried', 'list', { limit: 2 }, { entities: 0, statements: 2 }],
    ] as const)
      it(title, async () => {
        await request(stream, action, kwargs);
        expect(await countsOf(() => request(stream, action, kwargs))).to.deep.equal(expected);
      });

    const eventCounts = async (stream: string, change: (em: EntityManager, text: string) => Promise<unknown>) => {
      await request(stream, 'subscribe_instance', { request_id: 'instance', pk: 1 });
      const write = async (text: string): Promise<void> => {
        const em = database.orm.em.fork();
        await change(em, text);
        await em.flush();
      };
      await write('x');
      await app.idle();
      await write('y');
      const counts = await countsOf(() => app.idle());
      const event = client.channel(stream).frames.at(-1);
      expect(event).to.deep.include({ action: 'update', request_id: 'instance' });
      return { counts, data: event?.data };
    };
    const writeCode = async (em: EntityManager, code: string): Promise<void> => {
      (await em.findOneOrFail(Specimen, 1)).code = code;
    };
    const writeName = async (em: EntityManager, name: string): Promise<void> => {
      (await em.findOneOrFail(Shelf, 1)).name = name;
    };
    const tags = ['00000000-0000-4000-8000-000000000000', '00000000-0000-4000-8000-000000000001'];

    it('but for an event of one row, which takes none: its commit says it all', async () => {
      const { counts, data } = await eventCounts('observed', writeCode);
      expect(counts).to.deep.equal({ entities: 0, statements: 0 });
      expect(data).to.deep.include({ id: 1, code: 'y' });
    });

    it('an event of a row with many-to-many relations, of which the commit has changed another column', async () => {
      const { counts, data } = await eventCounts('plain', writeCode);
      expect(counts).to.deep.equal({ entities: 0, statements: 1 });
      expect(data).to.deep.include({ id: 1, code: 'y', amount: 5, shelf: 1, tags });
    });

    it('an event of a row with nested rows that refer to it', async () => {
      const { counts, data } = await eventCounts('shelves', writeName);
      expect(counts).to.deep.equal({ entities: 0, statements: 1 });
      const { specimens: shown, ...columns } = data as { specimens: readonly { code: string }[] };
      expect(columns).to.deep.equal({ id: 1, name: 'y' });
      expect(shown.map(({ code }) => code)).to.deep.equal(['a', 'c']);
    });
  });

  describe('in events', () => {
    const eventsOf = async (change: (em: EntityManager, specimen: Specimen) => Promise<unknown>) => {
      await request('plain', 'subscribe_instance', { request_id: 'instance', pk: 1 });
      const em = database.orm.em.fork();
      await change(em, await em.findOneOrFail(Specimen, 1, { populate: ['tags'] }));
      await app.idle();
      const frames = client.channel('plain').frames.filter(({ request_id: id }) => id === 'instance');
      return frames.slice(1).map(({ action, data }) => [action, data] as const);
    };

    it('show the columns of their commit, and the relations of other tables as they are by now', async () => {
      const events = await eventsOf(async (em, specimen) => {
        specimen.code = 'one';
        await em.flush();
        specimen.code = 'two';
        specimen.tags.removeAll();
        await em.flush();
      });
      const [[action, first] = []] = events;
      expect(action).to.equal('update');
      expect(first).to.deep.include({ code: 'one', amount: 5 });
      expect(events.at(-1)?.[1]).to.deep.include({ code: 'two', tags: [] });
    });

    it('show the columns of a row that is gone by now', async () => {
      const events = await eventsOf(async (em, specimen) => {
        specimen.code = 'last';
        await em.flush();
        await em.remove(specimen).flush();
      });
      expect(events.map(([action]) => action)).to.deep.equal(['update', 'delete']);
      expect(events[0]?.[1]).to.deep.include({ code: 'last', amount: 5 });
    });
  });

  it('are read by statements that the server prepares once for all requests of their shape', async () => {
    const program = fileURLToPath(new URL('../support/named-reads.js', import.meta.url));
    const { stdout } = await run(process.execPath, [program, addressOf(database)]);
    expect(JSON.parse(stdout)).to.deep.equal([
      { name: 'signalbox_read', runs: 2 },
      { name: 'signalbox_read', runs: 2 },
    ]);
  });

  describe('are those that MikroORM finds as entities', () => {
    const same = async (): Promise<unknown> => {
      const [rows, entities] = await Promise.all([
        request('queried', 'list', { limit: 2 }),
        request('entities', 'list', { limit: 2 }),
      ]);
      const without = JSON.parse(
        JSON.stringify(entities.data ?? null, (name, value) => (name === 'nothing' ? undefined : value)),
      );
      expect([rows.response_status, rows.data]).to.deep.equal([entities.response_status, without]);
      const page = rows.data as { count: number; results: { code: string }[] } | null;
      return page ? [page.count, ...page.results.map(({ code }) => code)] : rows.response_status;
    };

    const conditions: readonly (readonly [title: string, query: () => unknown, expected: unknown])[] = [
      ['nothing', () => ({}), [3, 'a', 'b']],
      ['a text', () => ({ code: 'a' }), [1, 'a']],
      ['no text', () => ({ code: '' }), [0]],
      ['a number for a text', () => ({ code: 5 }), 500],
      ['null', () => ({ amount: null }), [1, 'c']],
      ['not null', () => ({ amount: { $ne: null } }), [2, 'a', 'b']],
      ['equal to null', () => ({ amount: { $eq: null } }), [1, 'c']],
      ['not a value', () => ({ amount: { $ne: 5 } }), [1, 'b']],
      ['undefined', () => ({ code: undefined }), [0]],
      ['a comparison', () => ({ amount: { $gt: 1, $lte: 5 } }), [1, 'a']],
      ['a number beyond the column', () => ({ amount: 3_000_000_000 }), [0]],
      ['below a number beyond the column', () => ({ amount: { $lt: 3_000_000_000 } }), [2, 'a', 'b']],
      ['a fraction for an integer', () => ({ amount: { $gt: 4.5 } }), [1, 'a']],
      ['a text for an integer', () => ({ amount: '5' }), [1, 'a']],
      ['a word for an integer', () => ({ amount: 'x' }), 400],
      ['a fraction in a text for an integer', () => ({ amount: '4.5' }), 400],
      ['a number beyond a smallint', () => ({ small: { $lt: 40_000 } }), [1, 'a']],
      ['a bigint', () => ({ big: 9007199254740993n }), [1, 'a']],
      ['a bigint as a text', () => ({ big: '9007199254740993' }), [1, 'a']],
      ['a bigint beyond the column', () => ({ big: { $lt: 2n ** 70n } }), 400],
      ['a number for a bigint', () => ({ big: { $gt: 5 } }), [1, 'a']],
      ['a decimal', () => ({ price: '1.50' }), [1, 'a']],
      ['a number for a decimal', () => ({ price: 1.5 }), [1, 'a']],
      ['a number with more places than the decimal', () => ({ price: { $lt: 1.505 } }), [1, 'a']],
      ['a double', () => ({ weight: 0.1 }), [1, 'a']],
      ['a real', () => ({ ratio: 0.1 }), [0]],
      ['NaN', () => ({ weight: Number.NaN }), 500],
      ['a boolean', () => ({ rare: true }), [1, 'a']],
      ['a text for a boolean', () => ({ rare: 'true' }), [1, 'a']],
      ['a number for a boolean', () => ({ rare: 1 }), 500],
      ['an enum', () => ({ mood: 'calm' }), [1, 'a']],
      ['no item of an enum', () => ({ mood: 'nope' }), [0]],
      ['a day', () => ({ found: '2026-01-31' }), [1, 'a']],
      ['no day', () => ({ found: '2026-02-31' }), 400],
      ['a Date', () => ({ seen: new Date(noon) }), [1, 'a']],
      ['a Date for a day', () => ({ found: new Date('2026-01-31T00:00:00Z') }), [1, 'a']],
      ['a span of Dates', () => ({ seen: { $gte: new Date(noon), $lt: new Date('2027-01-01') } }), [1, 'a']],
      ['an invalid Date', () => ({ seen: new Date(Number.NaN) }), 500],
      ['a text for a Date', () => ({ seen: noon }), [1, 'a']],
      ['a text with a zone for a Date', () => ({ seen: '2026-01-31 13:00:00+01' }), [1, 'a']],
      ['a time', () => ({ noon: '12:00:00' }), [1, 'a']],
      ['a uuid in upper case', () => ({ serial: uuid }), [1, 'a']],
      ['no uuid', () => ({ serial: 'x' }), 400],
      ['JSON', () => ({ extra: { a: 1 } }), [1, 'a']],
      ['a text in JSON', () => ({ extra: 'text' }), [1, 'b']],
      ['an array', () => ({ numbers: { $contains: [1] } }), [1, 'a']],
      ['an array that overlaps', () => ({ words: { $overlap: ['y', 'z'] } }), [1, 'a']],
      ['a pattern', () => ({ code: { $like: 'a%' } }), [1, 'a']],
      ['a pattern in any case', () => ({ code: { $ilike: 'A%' } }), [1, 'a']],
      ['a regular expression', () => ({ code: /^[ab]$/ }), [2, 'a', 'b']],
      ['a list of values', () => ({ code: { $in: ['a', 'c'] } }), [2, 'a', 'c']],
      ['a list without its operator', () => ({ code: ['a', 'c'] }), [2, 'a', 'c']],
      ['an empty list', () => ({ code: { $in: [] } }), [0]],
      ['not in a list', () => ({ code: { $nin: ['a'] } }), [2, 'b', 'c']],
      ['a list of keys', () => [1, 3], [2, 'a', 'c']],
      ['a key', () => 2, [1, 'b']],
      ['a key in a text', () => ({ id: '2' }), [1, 'b']],
      ['and', () => ({ $and: [{ code: 'a' }, { amount: 5 }] }), [1, 'a']],
      ['an empty and', () => ({ $and: [] }), [3, 'a', 'b']],
      ['or', () => ({ $or: [{ code: 'a' }, { amount: null }] }), [2, 'a', 'c']],
      ['an empty or', () => ({ $or: [] }), [0]],
      ['not', () => ({ $not: { code: 'a' } }), [2, 'b', 'c']],
      ['not of a column that may be null', () => ({ $not: { amount: 5 } }), [1, 'b']],
      ['a lazy column', () => ({ notes: 'lazy' }), [1, 'a']],
      ['a relation by key', () => ({ shelf: 1 }), [2, 'a', 'c']],
      ['a relation by entity', () => ({ shelf: left }), [2, 'a', 'c']],
      ['a relation by reference', () => ({ shelf: database.orm.em.fork().getReference(Shelf, 1) }), [2, 'a', 'c']],
      ['a relation by entities', () => ({ shelf: [left] }), [2, 'a', 'c']],
      ['a relation by an object with its key', () => ({ shelf: { id: 1 } }), [2, 'a', 'c']],
      ['no relation', () => ({ shelf: null }), [0]],
      ['a column of a relation', () => ({ shelf: { name: 'left' } }), [2, 'a', 'c']],
      ['a column of a relation that is compared', () => ({ shelf: { id: { $gt: 1 } } }), [1, 'b']],
      [
        'a column of a relation, or null',
        () => ({ $or: [{ shelf: { name: 'right' } }, { code: 'c' }] }),
        [2, 'b', 'c'],
      ],
      ['one of many', () => ({ tags: { name: 'red' } }), [1, 'a']],
      ['one of many, of which several fit', () => ({ tags: { name: { $ne: 'green' } } }), [2, 'a', 'b']],
      ['one of many by key', () => ({ tags: '00000000-0000-4000-8000-000000000001' }), [2, 'a', 'b']],
      ['some of many', () => ({ tags: { $some: { name: 'blue' } } }), [2, 'a', 'b']],
      ['none of many', () => ({ tags: { $none: { name: 'red' } } }), [2, 'b', 'c']],
      ['a path through many', () => ({ shelf: { specimens: { code: { $in: ['a', 'c'] } } } }), [2, 'a', 'c']],
      ['raw SQL', () => ({ [raw('length(code)')]: 1 }), [3, 'a', 'b']],
      ['raw SQL for a value', () => ({ amount: raw('2 + 3') }), [1, 'a']],
      ['a null character', () => ({ code: 'a\u0000' }), 400],
      ['a dollar sign', () => ({ code: '$1' }), [0]],
      ['a question mark', () => ({ code: '?' }), [0]],
    ];

    for (const [title, condition, expected] of conditions)
      it(`by ${title}`, async () => {
        query = condition() as Query;
        expect(await same()).to.deep.equal(expected);
        expect(await same()).to.deep.equal(expected);
      });

    for (const [title, given, expected] of [
      ['a column', { code: 'desc' }, [3, 'c', 'b']],
      ['a column with nulls', { amount: 'asc' }, [3, 'b', 'a']],
      ['a column with nulls, descending', { amount: 'desc' }, [3, 'c', 'a']],
      ['a relation', { shelf: 'desc' }, [3, 'b', 'a']],
      ['a column of a relation', { 'shelf.name': 'desc' }, [3, 'b', 'a']],
    ] as const)
      it(`in the order of ${title}`, async () => {
        order = { ...given };
        expect(await same()).to.deep.equal(expected);
      });

    it('in pages of a condition that doubles rows', async () => {
      query = { tags: { name: { $ne: 'green' } } };
      const pages = [];
      for (const offset of [0, 1, 2]) {
        const [rows, entities] = await Promise.all([
          request('queried', 'list', { limit: 1, offset }),
          request('entities', 'list', { limit: 1, offset }),
        ]);
        const codes = (data: unknown) => (data as { results: { code: string }[] }).results.map(({ code }) => code);
        expect(codes(rows.data)).to.deep.equal(codes(entities.data));
        pages.push(codes(rows.data));
      }
      expect(pages).to.deep.equal([['a'], ['b'], []]);
    });
  });
});
