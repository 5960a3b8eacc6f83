import 'reflect-metadata';
import { Collection, type Rel } from '@mikro-orm/core';
import {
  Entity,
  ManyToMany,
  ManyToOne,
  PrimaryKey,
  Property,
  ReflectMetadataProvider,
} from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import {
  Consumer,
  createApp,
  demultiplexer,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  Page,
  type PageSource,
  Paginator,
  type PaginatorTypes,
  type paginatorTypes,
  path,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { startPostgres } from '../spec/support/postgres.js';

/** What a page of 20 rows of 10,000 costs by what is asked: microseconds of this process's CPU, and of wall-clock time, for each request. */
@Entity()
class Label {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
class Issue {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) title!: string;
  @Property({ type: 'integer', index: true }) points!: number;
  @Property({ type: 'datetime', columnType: 'timestamptz(3)', index: true }) closedAt!: Date;
  @ManyToOne(() => Label) kind!: Rel<Label>;
  @ManyToMany(() => Label) labels = new Collection<Label>(this);
}

@injectable()
class IssueSerializer extends ModelSerializer(Issue, { fields: ['id', 'title', 'points', 'closedAt', 'kind'] }) {}

const filters = {
  fields: {
    points: ['exact', 'in', 'lt'],
    closedAt: ['exact', 'lt'],
    labels: ['exact', 'in'],
    'kind.name': ['exact'],
    'labels.name': ['exact'],
  },
} as const;

@Consumer()
class Issues extends mix(
  ModelConsumer(Issue, { serializer: IssueSerializer, filters, paginator: LimitOffsetPaginator }),
  List,
) {}

/** Pages by offset that count nothing. */
class Slices extends Paginator {
  declare readonly [paginatorTypes]: SliceTypes;
  static override readonly kwargs = LimitOffsetPaginator.kwargs;
  override readonly maximumPageSize = 1_000;
  async page<Row>(source: PageSource<Row>, { limit, offset = 0 }: { limit?: number; offset?: number }) {
    const size = this.sizeOf(limit);
    return new Slice(await source.slice(offset, size), size, offset);
  }
  next() {
    return undefined;
  }
}

class Slice<Row> extends Page<Row> {
  constructor(
    readonly results: readonly Row[],
    readonly limit: number,
    readonly offset: number,
  ) {
    super();
  }
}

interface SliceTypes extends PaginatorTypes {
  readonly page: Slice<this['row']>;
}

@Consumer()
class LongLists extends mix(ModelConsumer(Issue, { serializer: IssueSerializer, paginator: Slices }), List) {}

const day = '2026-01-02T00:00:00Z';
const asked: Readonly<Record<string, object>> = {
  nothing: {},
  exact: { points: 7 },
  'in, three values': { points: [7, 8, 9] },
  'in, of changing length': { points: 'changing' },
  'a date': { closedAt: day },
  'a date, lt': { closedAt: { lt: day } },
  'a relation to one, by name': { 'kind.name': 'label 3' },
  'a relation to many, by key': { labels: 3 },
  'a relation to many, by name': { 'labels.name': 'label 3' },
};
const settings = { development: false, limits: { messagesPerSecond: 1_000_000, messageBurst: 1_000_000 } };
const [rounds, requests] = [7, 200];

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function ofLength(length: number): readonly number[] {
  return Array.from({ length: 1 + (length % 20) }, (_, index) => index);
}

const postgres = await startPostgres();
const clientUrl = await postgres.createDatabase('lists');
const orm = await MikroORM.init({
  clientUrl,
  entities: [Label, Issue],
  metadataProvider: ReflectMetadataProvider,
});
await orm.schema.create();
await orm.em.execute(`insert into label (name) select 'label ' || n from generate_series(1, 50) n`);
await orm.em.execute(`insert into issue (title, points, closed_at, kind_id)
  select 'issue ' || n, n % 100, timestamptz '2026-01-01' + n * interval '1 minute', 1 + n % 50 from generate_series(1, 10000) n`);
await orm.em.execute(
  `insert into issue_labels (issue_id, label_id) select id, 1 + (id + shift) % 50 from issue, generate_series(0, 1) shift`,
);
await orm.em.execute('analyze');
const app = createApp({ orm, routes: [path('/', demultiplexer({ issues: Issues, long: LongLists }))], settings });
await using client = await connect(app, '/');

for (const [name, filter] of Object.entries(asked)) {
  const [cpu, wall]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const [used, start] = [process.cpuUsage(), process.hrtime.bigint()];
    for (let request = 0; request < requests; request += 1) {
      const points = { points: ofLength(request) };
      const { errors } = await client.channel('issues').untyped.request('list', {
        limit: 20,
        filter: 'points' in filter && filter.points === 'changing' ? points : filter,
      });
      if (errors.length > 0) throw new Error(JSON.stringify(errors));
    }
    const { user, system } = process.cpuUsage(used);
    // The first round warms up.
    if (round > 0) {
      cpu.push((user + system) / requests);
      wall.push(Number(process.hrtime.bigint() - start) / 1_000 / requests);
    }
  }
  process.stdout.write(`${name.padEnd(28)} CPU ${median(cpu).toFixed(0)} us, wall ${median(wall).toFixed(0)} us\n`);
}

// All rows of a long page: what each of them costs beside SQL and a mapping by hand, in the same rounds

const pool = new pg.Pool({ connectionString: clientUrl, max: 1 });
const byHand = {
  name: 'page',
  text: 'select id, title, points, closed_at, kind_id from issue order by id limit $1 offset $2',
};

/** What a hand-written handler does for the same reply, with the text read as the client of the other way reads it. */
async function pageByHand(limit: number): Promise<void> {
  const { rows } = await pool.query({ ...byHand, values: [limit, 0] });
  const results = rows.map(({ id, title, points, closed_at, kind_id }) => ({
    id,
    title,
    points,
    closedAt: closed_at.toJSON(),
    kind: kind_id,
  }));
  JSON.parse(JSON.stringify({ errors: [], data: { results, limit, offset: 0 }, action: 'list', response_status: 200 }));
}

async function pageOfList(limit: number): Promise<void> {
  const { errors } = await client.channel('long').untyped.request('list', { limit });
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
}

async function cpuOfRow(page: (limit: number) => Promise<void>, limit: number): Promise<number> {
  const used = process.cpuUsage();
  for (let request = 0; request < 20; request += 1) await page(limit);
  const { user, system } = process.cpuUsage(used);
  return (user + system) / 20 / limit;
}

const [ours, hand, ratios]: [number[], number[], number[]] = [[], [], []];
for (let round = 0; round <= rounds; round += 1) {
  const [own, other] = [await cpuOfRow(pageOfList, 1_000), await cpuOfRow(pageByHand, 1_000)];
  if (round === 0) continue;
  ours.push(own);
  hand.push(other);
  ratios.push(own / other);
}
process.stdout.write(
  `1,000 rows, each             CPU ${median(ours).toFixed(2)} us, by hand ${median(hand).toFixed(2)} us, ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})\n`,
);
await pool.end();
await app.close();
await orm.close();
await postgres.stop();
