import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  type App,
  Consumer,
  createApp,
  List,
  ModelConsumer,
  ModelSerializer,
  mix,
  path,
  Retrieve,
  type Route,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { Specimen, specimens } from '../support/specimens.js';

@injectable()
class CodeSerializer extends ModelSerializer(Specimen, { fields: ['id', 'code'] }) {}

const compared = ['exact', 'not', 'lt', 'lte', 'gt', 'gte'] as const;

@Consumer()
class Specimens extends mix(
  ModelConsumer(Specimen, {
    serializer: CodeSerializer,
    filters: { fields: { amount: compared, small: compared } },
  }),
  List,
  Retrieve,
) {}

/** As many filters as asked for, each of another shape. */
function shapes(count: number): readonly object[] {
  return Array.from({ length: count }, (_, number) => {
    const chosen = (from: number): object =>
      Object.fromEntries(compared.filter((_operator, bit) => (number >> (from + bit)) & 1).map((each) => [each, 1]));
    const fields = { amount: chosen(0), small: chosen(6) };
    return Object.fromEntries(Object.entries(fields).filter(([, tests]) => Object.keys(tests).length > 0));
  });
}

interface Prepared {
  readonly isRetrieve: boolean;
  readonly runs: number;
}

describe('Statements that clients shape', () => {
  const database = useDatabase('statements_of_clients', specimens);
  let orm: MikroORM;
  let app: App<readonly Route[]>;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    for (const code of ['a', 'b']) em.create(Specimen, { code });
    await em.flush();
    orm = await connectOrm(addressOf(database), { entities: specimens, pool: { min: 1, max: 1 } });
    const limits = { messagesPerSecond: 10_000, messageBurst: 10_000 };
    const { container } = testProviders();
    app = createApp<readonly Route[]>({ orm, routes: [path('/', Specimens)], container, settings: { limits } });
  });
  afterEach(async () => {
    await app.close();
    await orm.close(true);
  });

  async function prepared(): Promise<readonly Prepared[]> {
    const where = `where name like 'signalbox\\_read%'`;
    return orm.em.fork().execute(`select statement like '%"t"."id" = $1 limit%' as "isRetrieve",
      (generic_plans + custom_plans)::int as runs from pg_prepared_statements ${where} order by 1 desc`);
  }

  it('take the names of one another, and not that of a statement that another client sends again and again', async () => {
    const [reading, filtering] = await Promise.all([connect(app, '/'), connect(app, '/')]);
    let retrieved = 0;
    for (const [number, filter] of shapes(300).entries()) {
      const { errors } = await filtering.untyped.request('list', { filter });
      expect(errors).to.deep.equal([]);
      if (number < 100 || number % 20 > 0) continue;
      await reading.untyped.request('retrieve', { pk: 1 });
      retrieved += 1;
    }
    const [first, ...others] = await prepared();
    expect(first).to.deep.equal({ isRetrieve: true, runs: retrieved });
    expect(others).to.have.length.at.most(63).and.at.least(60);
    expect(others.map(({ isRetrieve }) => isRetrieve)).to.not.include(true);
  });

  it('give the same rows whether their names were taken meanwhile or not', async () => {
    const client = await connect(app, '/');
    const filters = shapes(130);
    const rows = async (): Promise<readonly unknown[]> => {
      const replies: unknown[] = [];
      for (const filter of filters) replies.push((await client.untyped.request('list', { filter })).data);
      return replies;
    };
    const once = await rows();
    expect(once[0]).to.deep.equal([
      { id: 1, code: 'a' },
      { id: 2, code: 'b' },
    ]);
    expect(await rows()).to.deep.equal(once);
  });
});
