import type { FilterQuery } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsBoolean, IsInt, IsOptional } from 'class-validator';
import {
  type ActionContext,
  type App,
  ConfigurationError,
  Consumer,
  CursorPaginator,
  createApp,
  FilterBackend,
  type FilterOptions,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type Route,
  StreamedList,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { useServer } from '../support/serving.js';
import { blue, green, red, trackIssues } from '../support/tracked-issues.js';
import { Issue, IssueSerializer, Label, Project, trackerModels } from '../support/tracker.js';

const order = ['lt', 'lte', 'gt', 'gte', 'between'] as const;
const text = ['contains', 'icontains', 'starts_with', 'istarts_with'] as const;
const filters = {
  fields: {
    title: ['exact', ...text],
    details: ['contains', 'is_null', 'not'],
    code: ['exact', 'starts_with'],
    state: ['exact', 'in', 'not'],
    urgent: ['exact', 'not', 'is_null'],
    points: ['exact', 'in', 'not', 'is_null', ...order],
    views: ['exact', 'in', 'gt'],
    ratio: ['exact', 'in', 'lte'],
    score: ['exact', 'in'],
    cost: ['exact', ...order],
    closedAt: ['exact', 'in', ...order],
    due: ['lt', 'gte', 'between', 'is_null'],
    alarm: ['exact', 'gt'],
    token: ['exact', 'in'],
    project: ['exact', 'in', 'not', 'is_null'],
    'project.name': ['exact', 'not', 'is_null', 'icontains'],
    'project.team': ['exact', 'in', 'not'],
    'project.team.name': ['exact', 'not', 'starts_with'],
    'project.labels': ['exact', 'not', 'is_null'],
    labels: ['exact', 'in', 'not', 'is_null'],
    'labels.name': ['exact', 'in', 'not', 'icontains'],
    'labels.weight': ['gt', 'lt', 'not'],
    'labels.owner.name': ['exact', 'not'],
    note: ['is_null', 'exact'],
    'note.text': ['contains', 'is_null'],
  },
  ordering: ['title', 'points', 'project.name', 'project.team.name', 'labels.name', 'labels.weight'],
  search: ['title', 'project.name', 'labels.name', 'note.text'],
} as const;

class OwnKwargs {
  @IsOptional() @IsBoolean() urgent?: boolean;
}
class BudgetKwargs {
  @IsOptional() @IsInt() most?: number;
}

@injectable()
class Budget {
  readonly smallest = 0;
}

/** For whatever has points. */
@injectable()
class WithinBudget extends FilterBackend<{ points?: number | null }> {
  static override readonly kwargs = BudgetKwargs;
  constructor(private readonly budget: Budget) {
    super();
  }
  filterQuery(
    query: FilterQuery<{ points?: number | null }>,
    _context: ActionContext,
    { most }: BudgetKwargs,
  ): FilterQuery<{ points?: number | null }> {
    const bound = most === undefined ? {} : { $lte: most };
    return { $and: [query, { points: { $gte: this.budget.smallest, ...bound } }] };
  }
}

@injectable()
class NestingSerializer extends ModelSerializer(Issue, {
  fields: ['id', 'title', 'details', 'project'],
  writeOnly: ['details'],
  nested: { project: ProjectSerializer() },
}) {}

function ProjectSerializer() {
  @injectable()
  class Shown extends ModelSerializer(Project, { fields: ['id', 'name', 'team'], writeOnly: ['name'] }) {}
  return Shown;
}

@Consumer()
class Issues extends mix(ModelConsumer(Issue, { serializer: IssueSerializer, filters }), List, Retrieve) {}

@Consumer()
class PagedIssues extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, filters, paginator: LimitOffsetPaginator }),
  List,
) {}

class Pairs extends CursorPaginator {
  override readonly pageSize = 2;
}

const ofCursor = {
  ordering: [
    'points',
    'title',
    'project.name',
    'project.team.name',
    'labels.weight',
    'labels.name',
    'labels.owner.name',
    'project.labels.weight',
  ],
} as const;

@Consumer()
class IssuesByCursor extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, filters: ofCursor, paginator: Pairs }),
  List,
) {}

@Consumer()
class OwnIssues extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, filters: { kwargs: OwnKwargs, backends: [WithinBudget] } }),
  List,
  Retrieve,
  Patch,
  ObserveInstance,
) {
  protected override filterQuery(query: FilterQuery<Issue>, _context: ActionContext, { urgent }: OwnKwargs) {
    return urgent === undefined ? query : ({ $and: [query, { urgent }] } as FilterQuery<Issue>);
  }
}

@Consumer()
class BudgetedIssues extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, filters: { backends: [WithinBudget] } }),
  List,
  ObserveInstance,
) {}

@Consumer()
class UnfilteredIssues extends mix(ModelConsumer(Issue, { serializer: IssueSerializer }), List) {}

@Consumer()
class StreamedIssues extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, paginator: Pairs }),
  StreamedList,
) {}

describe('The operators of filters', () => {
  const database = useDatabase('operators', trackerModels);
  const serve = useServer();
  let app: App;
  let client: TestConnection;

  beforeEach(async () => {
    await trackIssues(database.orm);
    const routes = Object.entries({
      '/': Issues,
      '/paged/': PagedIssues,
      '/cursor/': IssuesByCursor,
      '/own/': OwnIssues,
      '/budget/': BudgetedIssues,
      '/unfiltered/': UnfilteredIssues,
      '/streamed/': StreamedIssues,
    }).map(([url, consumer]) => path(url, consumer));
    ({ app } = serve(routes, { orm: database.orm }));
    client = await connect(app, '/');
  });

  const titles = async (kwargs: object, on = client) => {
    const { data, errors } = await on.request('list', { ...kwargs });
    if (errors.length > 0) return errors;
    const rows = Array.isArray(data) ? data : (data as { readonly results: readonly unknown[] }).results;
    return rows.map((row) => (row as Issue).title);
  };
  const [crash, slow, typo, idea] = ['Crash of 100%', 'slow crash', 'typo', 'idea'];

  const narrowed: readonly (readonly [object, readonly (string | undefined)[]])[] = [
    [{ title: 'typo' }, [typo]],
    [{ title: { exact: 'typo' } }, [typo]],
    [{ title: { contains: 'rash' } }, [crash, slow]],
    [{ title: { contains: 'Crash' } }, [crash]],
    [{ title: { contains: '%' } }, [crash]],
    [{ title: { contains: '_' } }, []],
    [{ title: { icontains: 'CRASH' } }, [crash, slow]],
    [{ title: { starts_with: 'c' } }, []],
    [{ title: { istarts_with: 'c' } }, [crash]],
    [{ title: { icontains: 'crash', starts_with: 's' } }, [slow]],
    [{ details: { contains: '_' } }, [crash]],
    [{ details: { is_null: true } }, [slow, typo, idea]],
    [{ details: { is_null: false } }, [crash]],
    [{ details: { not: 'it_breaks' } }, [slow, typo, idea]],
    [{ details: { not: null } }, [crash]],
    [{ code: 'a' }, [crash]],
    [{ state: { not: 'open' } }, [typo]],
    [{ state: { not: ['open', 'closed'] } }, []],
    [{ urgent: { not: true } }, [slow, typo, idea]],
    [{ points: 3 }, [slow, typo]],
    [{ points: [3, null] }, [slow, typo, idea]],
    [{ points: { in: [8] } }, [crash]],
    [{ points: { not: 3 } }, [crash, idea]],
    [{ points: { not: [3, null] } }, [crash]],
    [{ points: { not: [3, 8] } }, [idea]],
    [{ points: { lt: 8 } }, [slow, typo]],
    [{ points: { lte: 8 } }, [crash, slow, typo]],
    [{ points: { gt: 3 } }, [crash]],
    [{ points: { gte: 3, lt: 8 } }, [slow, typo]],
    [{ points: { between: [3, 7] } }, [slow, typo]],
    [{ points: { is_null: true } }, [idea]],
    [{ points: {} }, [crash, slow, typo, idea]],
    [{ views: '9007199254740993' }, [crash]],
    [{ views: { gt: '9007199254740992' } }, [crash]],
    [{ ratio: 0.1 }, [crash]],
    [{ ratio: [0.1, 0.2] }, [crash]],
    [{ ratio: { lte: 0.1 } }, [crash]],
    [{ score: 0.1 }, [crash]],
    [{ cost: '12.5' }, [crash]],
    [{ cost: { between: ['12.50', 13] } }, [crash]],
    [{ closedAt: '2026-01-31T12:00:00.5Z' }, [crash]],
    [{ closedAt: ['2026-01-31T12:00:00.5Z'] }, [crash]],
    [{ closedAt: { lt: '2026-01-31T13:00:00.5+01:00' } }, []],
    [{ closedAt: { lte: '2026-01-31T13:00:00.5+01:00' } }, [crash]],
    [{ due: { lt: '2026-02-01' } }, [crash]],
    [{ due: { between: ['2026-01-31', '2026-02-28'] } }, [crash, slow]],
    [{ alarm: '09:30' }, [crash]],
    [{ alarm: { gt: '09:29:59' } }, [crash]],
    [{ token: red.toUpperCase() }, [crash]],
    [{ project: 1 }, [crash]],
    [{ project: { in: [1, 2] } }, [crash, slow]],
    [{ project: { not: 1 } }, [slow, typo, idea]],
    [{ project: { is_null: true } }, [idea]],
    [{ 'project.name': 'site' }, [crash]],
    [{ 'project.name': null }, [typo, idea]],
    [{ 'project.name': { not: 'site' } }, [slow, typo, idea]],
    [{ 'project.name': { is_null: false } }, [crash, slow]],
    [{ 'project.team': 1 }, [crash, typo]],
    [{ 'project.team': [1, null] }, [crash, typo, idea]],
    [{ 'project.team': { not: [1] } }, [slow, idea]],
    [{ 'project.team.name': 'north' }, [crash, typo]],
    [{ 'project.team.name': { not: 'north' } }, [slow, idea]],
    [{ 'project.team.name': { starts_with: 's' } }, [slow]],
    [{ 'project.labels': green }, [crash]],
    [{ 'project.labels': { not: green } }, [slow, typo, idea]],
    [{ 'project.labels': { is_null: true } }, [slow, typo, idea]],
    [{ labels: blue }, [crash, slow]],
    [{ labels: [red, blue] }, [crash, slow]],
    [{ labels: { not: red } }, [slow, typo, idea]],
    [{ labels: { not: [red, blue] } }, [typo, idea]],
    [{ labels: { is_null: true } }, [typo, idea]],
    [{ labels: null, 'labels.name': 'blue' } as object, []],
    [{ 'labels.name': { icontains: 'R' } }, [crash]],
    [{ 'labels.name': ['Red', 'blue'] }, [crash, slow]],
    [{ 'labels.name': { not: 'blue' } }, [typo, idea]],
    [{ 'labels.weight': { gt: 1, lt: 3 } }, []],
    [{ 'labels.weight': { gt: 0, lt: 3 } }, [crash, slow]],
    [{ 'labels.owner.name': 'north' }, [crash]],
    [{ 'labels.owner.name': { not: 'north' } }, [slow, typo, idea]],
    [{ note: 1 }, [crash]],
    [{ note: { is_null: true } }, [slow, typo, idea]],
    [{ 'note.text': { contains: 'twice' } }, [crash]],
    [{ 'note.text': { is_null: true } }, [slow, typo, idea]],
    [{ points: 3, labels: { is_null: true } }, [typo]],
  ];
  for (const [filter, expected] of narrowed) {
    it(`let ${expected.join(', ') || 'nothing'} through for ${JSON.stringify(filter)}`, async () => {
      expect(await titles({ filter })).to.deep.equal(expected);
    });
  }

  const refused: readonly (readonly [object, object])[] = [
    [
      { title: { lt: 'x' } },
      {
        'filter.title.lt': [
          '"lt" is not known here. Known names are exact, contains, icontains, starts_with, istarts_with.',
        ],
      },
    ],
    [
      { due: '2026-01-01' },
      { 'filter.due': ['"exact" is not known here. Known names are lt, gte, between, is_null.'] },
    ],
    [{ title: ['typo'] }, { 'filter.title': ['Not a valid string.'] }],
    [
      { points: { lt: 'x', gt: null } },
      { 'filter.points.lt': ['A valid integer is required.'], 'filter.points.gt': ['This field may not be null.'] },
    ],
    [{ points: { in: 3 } }, { 'filter.points.in': ['Expected a list of items.'] }],
    [{ points: { between: [1] } }, { 'filter.points.between': ['Expected a list of two values.'] }],
    [{ points: { between: [1, 2, 3] } }, { 'filter.points.between': ['Expected a list of two values.'] }],
    [{ points: { between: [1, 'x'] } }, { 'filter.points.between': ['A valid integer is required.'] }],
    [{ points: { is_null: 'yes' } }, { 'filter.points.is_null': ['Must be a valid boolean.'] }],
    [{ points: { is_null: null } }, { 'filter.points.is_null': ['Must be a valid boolean.'] }],
    [{ due: { lt: 'soon' } }, { 'filter.due.lt': ['Date has wrong format. Use ISO 8601: 2026-01-31.'] }],
    [{ title: { contains: 4 } }, { 'filter.title.contains': ['Not a valid string.'] }],
    [
      { title: { contains: 'x'.repeat(201) } },
      { 'filter.title.contains': ['Ensure this field has no more than 200 characters.'] },
    ],
    [{ title: { contains: '\u0000' } }, { 'filter.title.contains': ['Null characters are not allowed.'] }],
    [{ labels: 'red' }, { 'filter.labels': ['"red" is not a key.'] }],
    [{ state: { not: 'lost' } }, { 'filter.state.not': ['"lost" is not a valid choice.'] }],
    [
      { 'project.secret': 'x' },
      {
        'filter.project.secret': [
          `"project.secret" is not known here. Known names are ${Object.keys(filters.fields).join(', ')}.`,
        ],
      },
    ],
  ];
  for (const [filter, texts] of refused) {
    it(`refuse ${JSON.stringify(filter).slice(0, 60)}`, async () => {
      expect(await client.request('list', { filter })).to.deep.include({ errors: [texts], response_status: 400 });
    });
  }

  describe('order lists by', () => {
    const ordered: readonly (readonly [string | readonly string[], readonly (string | undefined)[]])[] = [
      ['project.name', [slow, crash, typo, idea]],
      ['-project.name', [typo, idea, crash, slow]],
      [
        ['project.team.name', '-points'],
        [crash, typo, slow, idea],
      ],
      [
        ['-project.team.name', 'title'],
        [idea, slow, crash, typo],
      ],
      [
        ['-project.team.name', '-project.name'],
        [idea, slow, typo, crash],
      ],
      ['labels.weight', [crash, slow, typo, idea]],
      ['-labels.weight', [typo, idea, crash, slow]],
      [
        ['labels.weight', '-title'],
        [slow, crash, typo, idea],
      ],
      [
        ['project.name', 'points', 'project.team.name'],
        [slow, crash, typo, idea],
      ],
    ];
    for (const [ordering, expected] of ordered) {
      it(`${ordering}, in a list and in pages`, async () => {
        expect(await titles({ ordering })).to.deep.equal(expected);
        const paged = await connect(app, '/paged/');
        const pages = [];
        for (const offset of [0, 2]) pages.push(...(await titles({ ordering, limit: 2, offset }, paged)));
        expect(pages).to.deep.equal(expected);
      });
    }
  });

  it('search what relations lead to, and give no row twice', async () => {
    expect(await titles({ search: 'BLUE' })).to.deep.equal([crash, slow]);
    expect(await titles({ search: 'crash site' })).to.deep.equal([crash]);
    expect(await titles({ search: 'twice' })).to.deep.equal([crash]);
    const { data } = await (await connect(app, '/paged/')).request('list', {
      search: 'crash',
      filter: { labels: [red, blue] },
    });
    expect(data).to.deep.include({ count: 2 });
  });

  it('prepare one statement for lists of every length, for dates and for relations to many', async () => {
    const statements = new Set<string>();
    database.orm.config.set('onQuery', (sql) => {
      statements.add(sql);
      return sql;
    });
    const some = { points: [1], 'project.team': [1], labels: [red], state: { not: ['open'] } };
    const more = { points: [1, 2, 3], 'project.team': [1, 2], labels: [red, blue], state: { not: ['open', 'closed'] } };
    const none = { points: [], 'project.team': [], labels: [], state: { not: [] } };
    const dates = ['2026-01-01', '2026-02-01', '2026-03-01'].map((day) => ({ closedAt: { lt: `${day}T00:00:00Z` } }));
    for (const [index, filter] of [some, more, none].entries())
      await client.request('list', { filter: { ...filter, ...dates[index] } });
    database.orm.config.reset('onQuery');
    const [statement = '', ...others] = statements;
    expect(others).to.deep.equal([]);
    expect(statement).to.include('"points" = any($1)').and.include('"closed_at" < $');
    expect(statement).to.include('!= all($');
  });

  it('order pages by what rows do not show with a prepared statement', async () => {
    const paged = await connect(app, '/paged/');
    const statements: string[] = [];
    database.orm.config.set('onQuery', (sql) => {
      statements.push(sql);
      return sql;
    });
    await paged.request('list', { ordering: ['project.name', '-points'], limit: 1, offset: 1 });
    database.orm.config.reset('onQuery');
    expect(statements).to.have.lengthOf(2);
    expect(statements[1]).to.match(/ as "c0".* limit \$1 offset \$2$/);
  });

  describe('that are not declared', () => {
    const undeclared: readonly (readonly [object, object])[] = [
      [{ filter: { points: 3 } }, { filter: ['This list has no filters.'] }],
      [{ filter: {} }, { filter: ['This list has no filters.'] }],
      [
        { ordering: 'title', search: 'x' },
        { ordering: ['This list has no ordering.'], search: ['This list has no search.'] },
      ],
    ];
    for (const [kwargs, texts] of undeclared) {
      for (const url of ['/unfiltered/', '/streamed/', '/own/']) {
        it(`are a 400 at ${url}: ${JSON.stringify(kwargs)}`, async () => {
          const connection = await connect(app, url);
          expect(await connection.request('list', { ...kwargs })).to.deep.include({
            errors: [texts],
            response_status: 400,
          });
        });
      }
    }

    it('are a 400 also where others are', async () => {
      const connection = await connect(app, '/cursor/');
      expect(await connection.request('list', { filter: {} })).to.deep.include({
        errors: [{ filter: ['This list has no filters.'] }],
      });
    });
  });

  describe('of the application', () => {
    it('take kwargs that the consumer and its backends declare', async () => {
      const own = await connect(app, '/own/');
      expect(await titles({}, own)).to.deep.equal([crash, slow, typo]);
      expect(await titles({ urgent: true }, own)).to.deep.equal([crash]);
      expect(await titles({ most: 3 }, own)).to.deep.equal([slow, typo]);
      expect(await titles({ most: 3, urgent: false }, own)).to.deep.equal([slow]);
      expect(await own.request('list', { most: 'x' })).to.deep.include({
        errors: [{ most: ['most must be an integer number.'] }],
        response_status: 400,
      });
    });

    it('narrow objects too, without these kwargs', async () => {
      const own = await connect(app, '/own/');
      expect(await own.request('retrieve', { pk: 1, most: 3 })).to.include({ response_status: 200 });
      expect(await own.request('retrieve', { pk: 4 })).to.include({ response_status: 404 });
    });

    it('tell a subscription that its row has left, also by a backend alone', async () => {
      const own = await connect(app, '/budget/');
      expect(await own.request('subscribe_instance', { pk: 3 })).to.include({ response_status: 201 });
      const em = database.orm.em.fork();
      (await em.findOneOrFail(Issue, 3)).points = -1;
      await em.flush();
      expect(await own.receive()).to.deep.include({ action: 'delete', data: { pk: 3 } });
    });
  });

  describe('by cursor', () => {
    interface Cursors {
      readonly titles: readonly string[];
      readonly next: string | null;
      readonly previous: string | null;
    }

    const page = async (kwargs: object): Promise<Cursors> => {
      const { data } = await (await connect(app, '/cursor/')).request('list', { ...kwargs });
      const { results, next, previous } = data as Omit<Cursors, 'titles'> & { results: readonly Issue[] };
      return { titles: results.map(({ title }) => title), next, previous };
    };

    /** All pages, from a first one on. */
    const walk = async (kwargs: object, to: 'next' | 'previous') => {
      const pages = [await page(kwargs)];
      for (let at = pages[0]?.[to]; at; at = pages.at(-1)?.[to]) pages.push(await page({ ...kwargs, cursor: at }));
      return pages;
    };

    for (const ordering of [
      'points',
      '-points',
      'project.name',
      '-project.name',
      'project.team.name',
      'labels.weight',
      '-labels.weight',
      'labels.name',
      '-labels.owner.name',
      'project.labels.weight',
      ['-points', '-labels.weight'],
    ]) {
      it(`go back the way that they came, by ${String(ordering)}`, async () => {
        const there = await walk({ ordering }, 'next');
        expect(there.flatMap(({ titles: shown }) => shown)).to.have.members([crash, slow, typo, idea]);
        const back = await walk({ ordering, cursor: there.at(-1)?.previous }, 'previous');
        const shown = [...back.reverse(), there.at(-1)].map((each) => each?.titles);
        expect(shown).to.deep.equal(there.map((each) => each.titles));
      });
    }

    for (const [ordering, expected] of [
      ['labels.weight', [crash, slow, typo, idea]],
      ['-labels.weight', [idea, crash, typo, slow]],
      ['-project.labels.weight', [slow, typo, idea, crash]],
    ] as const)
      it(`show each row once, by the first of the values that ${ordering} leads to`, async () => {
        const em = database.orm.em.fork();
        (await em.findOneOrFail(Issue, { title: typo }, { populate: ['labels'] })).labels.add(
          em.getReference(Label, green),
        );
        await em.flush();
        const there = await walk({ ordering }, 'next');
        expect(there.flatMap(({ titles: shown }) => shown)).to.deep.equal(expected);
      });

    it('begin behind the place that a row had, whatever became of its relations', async () => {
      const first = await page({ ordering: 'labels.weight' });
      const em = database.orm.em.fork();
      await em.nativeUpdate(Label, { uuid: blue }, { weight: 9 });
      expect(first.titles).to.deep.equal([crash, slow]);
      expect((await page({ ordering: 'labels.weight', cursor: first.next })).titles).to.deep.equal([crash, slow]);
    });

    it('are a 400 where their values are none', async () => {
      const { data } = await (await connect(app, '/cursor/')).request('list', { ordering: 'labels.weight' });
      const { next } = data as { readonly next: string };
      const [name, , key] = JSON.parse(Buffer.from(next, 'base64url').toString());
      for (const value of [7, 'x', {}, true]) {
        const cursor = Buffer.from(JSON.stringify([name, value, key])).toString('base64url');
        const reply = await (await connect(app, '/cursor/')).request('list', { ordering: 'labels.weight', cursor });
        expect(reply, String(value)).to.include({ response_status: 400 });
      }
    });
  });
});

describe('Filters that would tell a secret, or cannot be compared', () => {
  const database = useDatabase('operators_declared', trackerModels);

  const checked = (wrong: FilterOptions<string, string, string>, more: object = {}) => {
    @Consumer()
    class Wrong extends mix(
      ModelConsumer(Issue, { serializer: IssueSerializer, filters: wrong as object, ...more }),
      List,
    ) {}
    return () => createApp<readonly Route[]>({ orm: database.orm, routes: [path('/', Wrong)] });
  };
  const found =
    'but every client could find it out by filters, order, search or lookup. Remove it from them, and let filterQuery decide which clients may ask for it.';
  const own = 'write the condition in filterQuery(query, context, kwargs), where you decide what it may say.';

  const wrongs: readonly (readonly [FilterOptions<string, string, string>, string, object?])[] = [
    [{ fields: ['answer'] }, `Wrong.answer: is hidden, ${found}`],
    [{ ordering: ['answer'] }, `Wrong.answer: is hidden, ${found}`],
    [{ search: ['answer'] }, `Wrong.answer: is hidden, ${found}`],
    [{ fields: { 'project.team.secret': ['contains'] } }, `Wrong.project.team.secret: is hidden, ${found}`],
    [{ search: ['labels.owner.secret'] }, `Wrong.labels.owner.secret: is hidden, ${found}`],
    [
      { ordering: ['details'] },
      `Wrong.details: is write-only, by NestingSerializer, ${found}`,
      { serializer: NestingSerializer },
    ],
    [
      { fields: ['project.name'] },
      `Wrong.project.name: is write-only, by Shown, ${found}`,
      { serializer: NestingSerializer },
    ],
    [
      { fields: ['settings'] },
      `Issue.settings: is to be filtered, but its values cannot be compared with those that clients send (JSON, a list, binary data). Take it out of the fields, or ${own}`,
    ],
    [
      { ordering: ['settings'] },
      'Issue.settings: is to order lists, but its values have no order (JSON, a list, binary data). Take it out of the ordering.',
    ],
    [
      { fields: { title: ['lt'] } },
      `Issue.title: has a filter "lt", but the order of its values is not the same in every database. Take the operator out, or ${own}`,
    ],
    [
      { fields: { state: ['between'] } },
      `Issue.state: has a filter "between", but the order of its values is not the same in every database. Take the operator out, or ${own}`,
    ],
    [
      { fields: { points: ['contains'] } },
      `Issue.points: has a filter "contains", but does not hold text. Take the operator out, or ${own}`,
    ],
    [
      { fields: { project: ['gt'] } },
      'Issue.project: is a relation, but rows are not compared by "gt". Name a column of it: "project.id".',
    ],
    [
      { fields: { title: ['like' as 'lt'] } },
      'Issue.title: has a filter "like", which is not an operator. Name one of these: exact, in, not, is_null, lt, lte, gt, gte, between, contains, icontains, starts_with, istarts_with.',
    ],
    [
      { fields: ['project.colour'] },
      `Issue.project.colour: is not a column of the model. Name columns, relations, and what they lead to: "project.team". Or ${own}`,
    ],
    [{ fields: ['colour'] }, 'Issue.colour: is not a column of the model.'],
    [{ fields: ['title.length'] }, 'Issue.title.length: is not a column of the model.'],
    [
      { ordering: ['labels'] },
      'Issue.labels: is to order lists, but is a relation to many. Name a column of it: "labels.uuid".',
    ],
    [
      { search: ['project.id'] },
      'Issue.project.id: is to be searched, but does not hold text. Search in text columns.',
    ],
    [
      { ordering: ['labels.owner'] },
      'Issue.labels.owner: is in the order of a list with cursors, but is not a column with loaded, comparable values.',
      { paginator: Pairs },
    ],
  ];
  for (const [wrong, sentence, more] of wrongs) {
    it(`are refused when the application is created: ${JSON.stringify(wrong)}`, () => {
      expect(checked(wrong, more)).to.throw(sentence);
    });
  }

  it('are refused for a backend that the container cannot build', () => {
    class Unmarked extends FilterBackend {
      constructor(readonly budget: Budget) {
        super();
      }
      filterQuery(query: object) {
        return query;
      }
    }
    expect(checked({ backends: [Unmarked] })).to.throw(
      ConfigurationError,
      'Unmarked: has 1 constructor parameter, but no decorator of its own recorded its type, so the container would pass nothing to it. ' +
        'Put @injectable() on it. If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, ' +
        'or name what to inject: @inject(TheClass).',
    );
  });

  class WithoutRules {
    mine?: boolean;
  }

  it('are refused for kwargs without a rule, of the consumer and of a backend', () => {
    class Ruleless extends FilterBackend {
      static override readonly kwargs = WithoutRules;
      filterQuery(query: object) {
        return query;
      }
    }
    const text =
      'its kwargs class WithoutRules has no rule, so no data of a client would reach the method. ' +
      'Put class-validator decorators on the properties of WithoutRules, for example @IsInt().';
    expect(checked({ kwargs: WithoutRules })).to.throw(`Wrong.filterQuery: ${text}`);
    expect(checked({ backends: [Ruleless] })).to.throw(`Ruleless.filterQuery: ${text}`);
  });

  it('are refused for what is no backend, where the class is defined', () => {
    const declare = (backend: unknown) => () =>
      ModelConsumer(Issue, { serializer: IssueSerializer, filters: { backends: [backend] } as object });
    const way = 'Give classes that extend FilterBackend, and look for a circular import.';
    expect(declare(undefined)).to.throw(`ModelConsumer(Issue): was given undefined for a filter backend. ${way}`);
    expect(declare(Label)).to.throw(`ModelConsumer(Issue): was given Label for a filter backend. ${way}`);
  });

  it('may be columns of any kind that can', () => {
    expect(checked({ fields: ['project', 'labels.owner.name', 'note.text'], search: ['labels.name'] })).not.to.throw();
  });
});
