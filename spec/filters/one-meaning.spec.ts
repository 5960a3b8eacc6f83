import { Collection, type EntityMetadata, helper } from '@mikro-orm/core';
import { expect } from 'chai';
import fc from 'fast-check';
import type { FilterOperator } from 'signalbox';
import { ModelFilters } from '#signalbox/filters/model-filters.js';
import { conditionOf, lets } from '#signalbox/filters/model-row-filter.js';
import { ModelQueries } from '#signalbox/orm/model-queries.js';
import { useDatabase } from '../support/database.js';
import { checkAsyncProperty } from '../support/properties.js';
import { Issue, Label, Note, Project, Team, trackerModels } from '../support/tracker.js';

const order: readonly FilterOperator[] = ['lt', 'lte', 'gt', 'gte', 'between'];
const equality: readonly FilterOperator[] = ['exact', 'in', 'not', 'is_null'];
const text: readonly FilterOperator[] = ['contains', 'icontains', 'starts_with', 'istarts_with'];

/** Small worlds, so that values meet; in them is what is compared otherwise than it looks. */
const words = ['', 'a', 'A', 'aB', 'ab', '%', '_', '\\', 'a%', 'a_b', 'ß', '日本', "it's", '{a,"b"}', 'null'];
const codes = ['a', 'ab', 'ABC', 'b'];
const integers = [-2147483648, -1, 0, 1, 2, 2147483647];
const bigints = ['-9223372036854775808', '-1', '0', '9007199254740992', '9007199254740993', '9223372036854775807'];
const reals = [-1.5, 0, 0.1, 0.3, 16777216];
const doubles = [-1e300, -0.1, 0, 0.1, 0.30000000000000004, 1e300];
const decimals = ['-0.10', '0.00', '0.10', '2.50', '10.00', '99999999.99'];
const instants = [
  '0001-01-01T00:00:00Z',
  '1969-12-31T23:59:59.999Z',
  '2026-01-31T12:00:00.5Z',
  '2026-01-31T12:00:00.501Z',
];
const days = ['0001-01-01', '2026-01-31', '2026-02-01', '9999-12-31'];
const times = ['00:00:00', '09:30:00', '09:30:00.5', '23:59:59'];
const uuids = ['a', 'b', 'c'].map((last) => `00000000-0000-4000-8000-00000000000${last}`);
const keys = [1, 2, 3];

interface Filterable {
  readonly operators: readonly FilterOperator[];
  readonly values: readonly unknown[];
  readonly mayBeNull: boolean;
}

const may = { mayBeNull: true };
const never = { mayBeNull: false };
const fields: Readonly<Record<string, Filterable>> = {
  title: { operators: [...equality, ...text], values: words, ...never },
  details: { operators: [...equality, ...text], values: words, ...may },
  code: { operators: [...equality, ...text], values: [...codes, 'a  '], ...may },
  state: { operators: equality, values: ['open', 'closed'], ...never },
  urgent: { operators: equality, values: [true, false], ...may },
  points: { operators: [...equality, ...order], values: integers, ...may },
  views: { operators: [...equality, ...order], values: [...bigints, 0, -1], ...may },
  ratio: { operators: [...equality, ...order], values: reals, ...may },
  score: { operators: [...equality, ...order], values: doubles, ...may },
  cost: { operators: [...equality, ...order], values: [...decimals, 0.1, '2.5', 10], ...may },
  closedAt: { operators: [...equality, ...order], values: [...instants, '2026-01-31T14:00:00.5+02:00'], ...may },
  due: { operators: [...equality, ...order], values: days, ...may },
  alarm: { operators: [...equality, ...order], values: [...times, '09:30'], ...may },
  budget: { operators: [...equality, ...order], values: ['-1.00 €', '0.00 €', '0.50 €', '12.00 €'], ...may },
  token: { operators: [...equality, ...order], values: [...uuids, uuids[0]?.toUpperCase()], ...may },
  project: { operators: equality, values: keys, ...may },
  'project.name': { operators: [...equality, ...text], values: words, ...may },
  'project.team': { operators: equality, values: keys, ...may },
  'project.team.name': { operators: [...equality, ...text], values: words, ...may },
  'project.labels': { operators: equality, values: uuids, ...may },
  'project.labels.weight': { operators: [...equality, ...order], values: integers, ...may },
  labels: { operators: equality, values: uuids, ...may },
  'labels.name': { operators: [...equality, ...text], values: words, ...may },
  'labels.weight': { operators: [...equality, ...order], values: integers, ...may },
  'labels.owner': { operators: equality, values: keys, ...may },
  'labels.owner.name': { operators: [...equality, ...text], values: words, ...may },
  'labels.owner.projects': { operators: equality, values: keys, ...may },
  note: { operators: equality, values: keys, ...may },
  'note.text': { operators: [...equality, ...text], values: words, ...may },
};
const search = ['title', 'details', 'code', 'project.name', 'labels.name', 'note.text'];

function operand(operator: FilterOperator, { values, mayBeNull }: Filterable): fc.Arbitrary<unknown> {
  const value = fc.constantFrom(...values);
  const orNull = mayBeNull
    ? fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) })
    : value;
  const several = fc.array(orNull, { maxLength: 3 });
  switch (operator) {
    case 'exact':
      return orNull;
    case 'in':
      return several;
    case 'not':
      return fc.oneof(orNull, several);
    case 'is_null':
      return fc.boolean();
    case 'between':
      return fc.tuple(value, value);
    case 'contains':
    case 'icontains':
    case 'starts_with':
    case 'istarts_with':
      return fc.constantFrom(...words);
    default:
      return value;
  }
}

const asked = fc.constantFrom(...Object.entries(fields)).chain(([name, field]) => {
  const operators = fc.uniqueArray(fc.constantFrom(...field.operators), { minLength: 1, maxLength: 2 });
  const operands = operators.chain((names) =>
    fc.tuple(...names.map((operator) => operand(operator, field).map((value) => [operator, value] as const))),
  );
  return operands.map((entries) => [name, Object.fromEntries(entries)] as const);
});
const kwargs = fc.record(
  {
    filter: fc.array(asked, { minLength: 1, maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
    search: fc.constantFrom('a', 'AB', '%', 'a b', '\\', ''),
  },
  { requiredKeys: ['filter'] },
);

describe('A filter', function () {
  this.timeout(120_000);
  const database = useDatabase('one_meaning', trackerModels);

  /** As the database has it, and then as it was read: the relations with their rows. */
  const plainRows = async () => {
    const em = database.orm.em.fork();
    const populate = ['project.team', 'project.labels', 'labels.owner.projects', 'note'] as const;
    const issues = await em.find(Issue, {}, { populate, orderBy: { id: 'asc' } });
    return issues.map((issue) => plain(issue) as { readonly id: number });
  };

  /** A row whose columns are as the driver has them. */
  const fill = async (seed: number) => {
    const pick = <T>(values: readonly T[]): T =>
      fc.sample(fc.constantFrom(...values), { numRuns: 1, seed: seed++ })[0] as T;
    const maybe = <T>(values: readonly T[]): T | null => pick([...values, null] as readonly (T | null)[]);
    const em = database.orm.em.fork();
    const teams = keys.map((id) => em.create(Team, { id, name: pick(words) }));
    const projects = keys.map((id) => em.create(Project, { id, name: maybe(words), team: pick(teams) }));
    const labels = uuids.map((uuid) =>
      em.create(Label, { uuid, name: pick(words), weight: maybe(integers), owner: maybe(teams) }),
    );
    for (const project of projects) project.labels.set(labels.filter(() => pick([true, false, false])));
    for (let id = 1; id <= 40; id += 1) {
      const instant = maybe(instants);
      const issue = em.create(Issue, {
        id,
        title: pick(words),
        details: maybe(words),
        code: maybe(codes),
        state: pick(['open', 'closed'] as const),
        urgent: maybe([true, false]),
        points: maybe(integers),
        views: maybe(bigints.map(BigInt)),
        ratio: maybe(reals),
        score: maybe(doubles),
        cost: maybe(decimals),
        closedAt: instant === null ? null : new Date(instant),
        due: maybe(days),
        alarm: maybe(times),
        token: maybe(uuids),
        budget: maybe([-100, 0, 50, 1200]),
        project: maybe(projects),
      });
      issue.labels.set(labels.filter(() => pick([true, false])));
      if (id <= 3) em.create(Note, { id, text: pick(words), issue });
    }
    await em.flush();
    for (const [value, id] of Object.entries({ NaN: 1, Infinity: 2, '-Infinity': 3 }))
      await em.execute(`update issue set ratio = '${value}', score = '${value}', cost = 'NaN' where id = ${id}`);
  };

  const meta = () => database.orm.getMetadata().get(Issue) as EntityMetadata;
  const filters = () =>
    new ModelFilters(meta(), {
      fields: Object.fromEntries(Object.entries(fields).map(([name, { operators }]) => [name, operators])),
      search,
    });

  it('lets the same rows through in SQL and in memory', async () => {
    await fill(Number(process.env['PROPERTY_SEED'] ?? Date.now() % 2 ** 31));
    const rows = await plainRows();
    const declared = filters();
    const queries = new ModelQueries();
    const selection = { id: 'ids', meta: meta(), columns: ['t.id'], keyLength: 1 };
    await checkAsyncProperty(
      fc.asyncProperty(kwargs, async (sent) => {
        const filter = declared.filter(sent);
        const where = conditionOf(filter);
        const em = database.orm.em.fork();
        const built = (await em.find(Issue, where, { orderBy: { id: 'asc' } })).map(({ id }) => id);
        const reader = { em, transaction: undefined, schema: undefined, isUsed: false };
        const prepared = await queries.rows(reader, selection, { where, order: { id: 'asc' } });
        const inMemory = rows.filter((row) => lets(filter, row) === true).map(({ id }) => id);
        expect(inMemory).to.deep.equal(built);
        expect(prepared.map(([id]) => id)).to.deep.equal(built);
        expect(rows.map((row) => lets(filter, row))).not.to.include(undefined);
      }),
      300,
    );
  });

  it('says nothing of a row that lacks what decides it', () => {
    const decide = (filter: object, row: object) => lets(filters().filter({ filter }), row);
    expect(decide({ points: { gt: 1 } }, {})).to.equal(undefined);
    expect(decide({ points: { gt: 1 } }, { points: null })).to.equal(false);
    expect(decide({ points: { gt: 1 }, title: 'a' }, { title: 'b' })).to.equal(false);
    expect(decide({ points: { gt: 1 }, title: 'a' }, { title: 'a' })).to.equal(undefined);
    expect(decide({ project: 1 }, { project: 1 })).to.equal(true);
    expect(decide({ project: 1 }, { project: { id: 1, name: 'site' } })).to.equal(true);
    expect(decide({ 'project.name': 'site' }, { project: 1 })).to.equal(undefined);
    expect(decide({ 'project.name': 'site' }, { project: null })).to.equal(false);
    expect(decide({ labels: uuids[0] }, { labels: [uuids[1], uuids[0]] })).to.equal(true);
    expect(decide({ labels: { not: uuids[0] } }, { labels: [] })).to.equal(true);
    expect(decide({ 'labels.name': 'a' }, { labels: [uuids[0]] })).to.equal(undefined);
  });

  it('takes the values of JSON and of the driver for what they are in the database', () => {
    const decide = (filter: object, row: object) => lets(filters().filter({ filter }), row);
    expect(decide({ views: '9007199254740993' }, { views: '9007199254740993' })).to.equal(true);
    expect(decide({ views: '9007199254740993' }, { views: 9007199254740993n })).to.equal(true);
    expect(decide({ cost: { lt: 10 } }, { cost: '9.50' })).to.equal(true);
    expect(
      decide({ closedAt: { lt: '2026-01-31T12:00:00.001Z' } }, { closedAt: '2026-01-31 12:00:00.0005+00' }),
    ).to.equal(true);
    expect(decide({ closedAt: '2026-01-31T12:00:00Z' }, { closedAt: '2026-01-31 14:00:00+02' })).to.equal(true);
    expect(decide({ closedAt: { gt: '2026-01-31T12:00:00Z' } }, { closedAt: 'infinity' })).to.equal(true);
    expect(decide({ due: { gt: '9999-12-31' } }, { due: '10000-01-01' })).to.equal(true);
    expect(decide({ details: { icontains: 'ÄΣ' } }, { details: 'xäσx' })).to.equal(true);
  });
});

/** Entities -> plain objects, each with the names of its properties. */
function plain(value: unknown, above: readonly unknown[] = []): unknown {
  if (value instanceof Collection) return value.getItems().map((item: object) => plain(item, above));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const { __meta: meta } = helper(value as object);
  if (above.includes(value)) return helper(value).getPrimaryKey();
  const entries = meta.props.map(({ name }): [string, unknown] => [name, Reflect.get(value, name)]);
  return Object.fromEntries(
    entries
      .filter(([, one]) => !(one instanceof Collection && !one.isInitialized()))
      .map(([name, one]) => [name, plain(one ?? null, [...above, value])]),
  );
}
