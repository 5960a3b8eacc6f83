import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  type ActionContext,
  Consumer,
  CursorPaginator,
  LimitOffsetPage,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  mix,
  Page,
  type PageSource,
  Paginator,
  type PaginatorTypes,
  type paginatorTypes,
  ValidationFailed,
} from 'signalbox';
import type { TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { Person, ShortSerializer, short, Thing, useScenarios } from '../dcrf/crud-support.js';
import { reply } from '../support/frames.js';

class Pairs extends CursorPaginator {
  override readonly pageSize = 2;
}

const byDescription: Record<string, 'asc' | 'desc'> = { description: 'asc' };

/** In an order that the client names for the sake of the spec; `filters.ordering` is what applications use. */
@Consumer()
class CursorConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Pairs }), List) {
  protected override getOrder({ kwargs }: ActionContext): Record<string, 'asc' | 'desc'> {
    return typeof kwargs.by === 'string' ? { [kwargs.by]: kwargs.desc ? 'desc' : 'asc' } : byDescription;
  }
}

class Chunk<Row> extends Page<Row> {
  constructor(
    readonly results: readonly Row[],
    readonly isLast: boolean,
  ) {
    super();
  }
}
interface ChunkTypes extends PaginatorTypes {
  readonly page: Chunk<this['row']>;
}
class ChunkKwargs {
  @IsInt() chunk!: number;
}
@injectable()
class ChunkSize {
  readonly size = 3;
}
@injectable()
class Chunks extends Paginator {
  declare readonly [paginatorTypes]: ChunkTypes;
  static override readonly kwargs = ChunkKwargs;
  constructor(private readonly chunk: ChunkSize) {
    super();
  }
  async page<Row>(source: PageSource<Row>, { chunk }: ChunkKwargs): Promise<Chunk<Row>> {
    const rows = await source.slice(chunk * this.chunk.size, this.chunk.size);
    return new Chunk(rows, rows.length < this.chunk.size);
  }
  next({ isLast }: Chunk<unknown>, { chunk }: ChunkKwargs): ChunkKwargs | undefined {
    return isLast ? undefined : { chunk: chunk + 1 };
  }
}

/** Asks for the position of a row that `slice` gave, and answers with what it is told. */
@injectable()
class Misplacing extends Chunks {
  override async page<Row>(source: PageSource<Row>): Promise<Chunk<Row>> {
    const rows = await source.slice(0, 1);
    try {
      for (const row of rows) source.positionOf(row);
    } catch (error) {
      throw ValidationFailed.of({ position: [String(error)] });
    }
    return new Chunk(rows, true);
  }
}

@Consumer()
class MisplacingConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Misplacing }),
  List,
) {
  protected override getOrder() {
    return byDescription;
  }
}

@Consumer()
class ChunkConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Chunks }), List) {}

@Consumer()
class OverridingConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: LimitOffsetPaginator }),
  List,
) {
  override async list(kwargs: { limit?: number; offset?: number }, context: ActionContext) {
    const { count, results, limit, offset } = await super.list({ ...kwargs, limit: 2 }, context);
    return new LimitOffsetPage(count, results.toReversed(), limit, offset);
  }
  protected override getOrder(_context: ActionContext) {
    return { shelf: 'asc' as const };
  }
}

describe('Paginators', () => {
  const world = useScenarios('paginators', {
    '/cursor/': CursorConsumer,
    '/chunks/': ChunkConsumer,
    '/misplacing/': MisplacingConsumer,
    '/overriding/': OverridingConsumer,
  });
  let client: TestConnection;

  /** alpha and gamma have no description, and beta and delta no owner. */
  beforeEach(async () => {
    await world.things(5);
    await world.people('ann', 'bob');
    const em = world.orm.em.fork();
    const [alpha, beta, gamma, delta, epsilon] = await em.findAll(Thing, { orderBy: { id: 'asc' } });
    const [ann, bob] = await em.findAll(Person, { orderBy: { id: 'asc' } });
    if (!alpha || !beta || !gamma || !delta || !epsilon || !ann || !bob) throw new Error('The fixture is not there.');
    em.assign(alpha, { owner: bob, price: '3.00' });
    em.assign(beta, { description: 'b', price: '1.50' });
    em.assign(gamma, { owner: ann, price: '1.50' });
    em.assign(delta, { description: 'b', price: '10.00' });
    em.assign(epsilon, { description: 'a', owner: ann });
    await em.flush();
    client = await world.open('/cursor/');
  });

  type CursorData = { results: { name: string }[]; limit: number; next: string | null; previous: string | null };
  const pageAt = async (cursor: string | undefined, kwargs: object = {}) => {
    const { data } = await client.request('list', { ...kwargs, ...(cursor !== undefined && { cursor }) });
    return data as CursorData;
  };
  /** The names of all pages. */
  const walk = async (kwargs: object) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const { results, next } = await pageAt(cursor, kwargs);
      pages.push(results.map(({ name }) => name));
      cursor = next ?? undefined;
    } while (cursor !== undefined && pages.length < 10);
    return pages;
  };

  describe('by cursor', () => {
    it('show a page, its limit and the cursor of the next', async () => {
      const { results, limit, next } = await pageAt(undefined);
      expect(results).to.deep.equal([short(5, 'epsilon'), short(2, 'beta')]);
      expect(limit).to.equal(2);
      expect(next).to.be.a('string');
    });

    it('walk rows that share a value, and rows without one', async () => {
      expect(await walk({ by: 'description' })).to.deep.equal([['epsilon', 'beta'], ['delta', 'alpha'], ['gamma']]);
      expect(await walk({ by: 'description', desc: true })).to.deep.equal([
        ['alpha', 'gamma'],
        ['beta', 'delta'],
        ['epsilon'],
      ]);
      expect(await walk({ by: 'description', limit: 1 })).to.deep.equal([
        ['epsilon'],
        ['beta'],
        ['delta'],
        ['alpha'],
        ['gamma'],
      ]);
    });

    it('walk the order of a relation’s key, of a decimal and of truth values', async () => {
      expect(await walk({ by: 'owner' })).to.deep.equal([['gamma', 'epsilon'], ['alpha', 'beta'], ['delta']]);
      expect(await walk({ by: 'owner', desc: true })).to.deep.equal([
        ['beta', 'delta'],
        ['alpha', 'gamma'],
        ['epsilon'],
      ]);
      expect(await walk({ by: 'price', desc: true })).to.deep.equal([
        ['epsilon', 'delta'],
        ['alpha', 'beta'],
        ['gamma'],
      ]);
      expect(await walk({ by: 'hidden' })).to.deep.equal([['alpha', 'beta'], ['gamma', 'delta'], ['epsilon']]);
    });

    it('say of rows that came without a position how to read them', async () => {
      const misplacing = await world.open('/misplacing/');
      expect(await misplacing.request('list', { chunk: 1 })).to.deep.include({
        errors: [
          {
            position: [
              'ConfigurationError: Thing: is shown without entities, and a paginator asks for the position of a row that slice gave. ' +
                'Let the paginator read rows whose positions it needs with after or before.',
            ],
          },
        ],
      });
    });

    it('end where the rows end', async () => {
      expect(await pageAt(undefined, { limit: 5 })).to.include({ next: null });
      expect(await pageAt(undefined, { limit: 1000 })).to.include({ next: null, limit: 100 });
    });

    it('neither repeat nor miss rows when others come or go', async () => {
      const { next } = await pageAt(undefined, { by: 'name' });
      const em = world.orm.em.fork();
      em.remove(await em.findOneOrFail(Thing, { name: 'alpha' }));
      em.create(Thing, { name: 'aardvark' });
      await em.flush();
      expect((await pageAt(next ?? '', { by: 'name' })).results.map(({ name }) => name)).to.deep.equal([
        'delta',
        'epsilon',
      ]);
    });

    it('go back from every page to the one ahead of it', async () => {
      const [first, second] = [await pageAt(undefined), await pageAt((await pageAt(undefined)).next ?? '')];
      expect(first.previous).to.equal(null);
      const back = await pageAt(second.previous ?? '');
      expect(back).to.deep.equal(first);
      expect(await pageAt(back.next ?? '')).to.deep.equal(second);
    });

    it('go back over rows that share a value, and rows without one', async () => {
      for (const desc of [false, true]) {
        const there = await walk({ by: 'description', desc });
        const back: (readonly string[])[] = [];
        for (let cursor: string | null = '~'; cursor !== null; ) {
          const { results, previous }: CursorData = await pageAt(cursor, { by: 'description', desc, limit: 1 });
          back.unshift(results.map(({ name }) => name));
          cursor = previous;
        }
        expect(back.flat()).to.deep.equal(there.flat());
      }
    });

    it('show the last page to a client that goes back from behind it', async () => {
      const { next } = await pageAt(undefined, { limit: 4 });
      await world.orm.em.fork().nativeDelete(Thing, { name: 'gamma' });
      const { results, previous } = await pageAt(next ?? '');
      expect(results).to.deep.equal([]);
      const last = await pageAt(previous ?? '');
      expect(last.results.map(({ name }) => name)).to.deep.equal(['delta', 'alpha']);
      expect(last.next).to.equal(null);
    });

    it('show the first page to a client that goes back where nothing is left', async () => {
      const { next } = await pageAt(undefined);
      const { previous } = await pageAt(next ?? '');
      await world.orm.em.fork().nativeDelete(Thing, { name: ['epsilon', 'beta'] });
      const page = await pageAt(previous ?? '');
      expect(page.results.map(({ name }) => name)).to.deep.equal(['delta', 'alpha']);
      expect(page.previous).to.equal(null);
    });

    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const refused: readonly (readonly [string, string])[] = [
      ['nothing', ''],
      ['no JSON', 'xyz'],
      ['no JSON, for the page ahead of it', '~xyz'],
      ['no list', encoded({})],
      ['null', encoded(null)],
      ['too few values', encoded(['description,id', 'a'])],
      ['too many values', encoded(['description,id', 'a', 1, 1])],
      ['another order', encoded(['-description,id', 'a', 1])],
      ['a number for a text', encoded(['description,id', 4, 1])],
      ['a text for a number', encoded(['description,id', 'a', 'x'])],
      ['null where none can be', encoded(['description,id', 'a', null])],
      ['an object', encoded(['description,id', { $ne: 1 }, 1])],
      ['a number that is too large', encoded(['description,id', 'a', 2 ** 40])],
      ['a null character', encoded(['description,id', '\u0000', 1])],
    ];
    for (const [what, cursor] of refused) {
      it(`refuse a cursor of ${what}`, async () => {
        expect(await client.request('list', { cursor })).to.deep.include({
          errors: [{ cursor: ['This cursor does not belong to this list.'] }],
          response_status: 400,
        });
      });
    }

    it('refuse a cursor that is no text, and one whose key is none', async () => {
      expect(await client.request('list', { cursor: 4 })).to.deep.include({
        errors: [{ cursor: ['Not a valid string.'] }],
      });
      expect(await client.request('list', { by: 'owner', cursor: encoded(['owner,id', 'x', 1]) })).to.deep.include({
        errors: [{ cursor: ['This cursor does not belong to this list.'] }],
      });
    });

    it('fail where the order names no column', async () => {
      expect(await client.request('list', { by: 'tags' })).to.include({ response_status: 500 });
    });
  });

  it('are providers, with injected members; applications write their own', async () => {
    const chunks = await world.open('/chunks/');
    expect(await chunks.request('list', { request_id: 1, chunk: 1 })).to.deep.equal(
      reply('list', { results: [short(4, 'delta'), short(5, 'epsilon')], isLast: true }),
    );
    expect(await chunks.request('list', { chunk: 'x' })).to.deep.include({
      errors: [{ chunk: ['chunk must be an integer number.'] }],
      response_status: 400,
    });
  });

  it('let a consumer override its list; rows that are equal in its order stand in that of their keys', async () => {
    const overriding = await world.open('/overriding/');
    expect(await overriding.request('list', { request_id: 1, offset: 2 })).to.deep.equal(
      reply('list', { count: 5, results: [short(4, 'delta'), short(3, 'gamma')], limit: 2, offset: 2 }),
    );
  });
});
