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
import { Consumer, createApp, LimitOffsetPaginator, List, ModelConsumer, ModelSerializer, mix, path } from 'signalbox';
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
const orm = await MikroORM.init({
  clientUrl: await postgres.createDatabase('lists'),
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
const app = createApp({ orm, routes: [path('/', Issues)], settings });
await using client = await connect(app, '/');

for (const [name, filter] of Object.entries(asked)) {
  const [cpu, wall]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const [used, start] = [process.cpuUsage(), process.hrtime.bigint()];
    for (let request = 0; request < requests; request += 1) {
      const points = { points: ofLength(request) };
      const { errors } = await client.request('list', {
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
await app.close();
await orm.close();
await postgres.stop();
