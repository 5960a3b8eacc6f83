import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { type EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { type StatementConnection } from '#signalbox/orm/sql-connection.js';
import {
  clientOf,
  runStatement,
  type Statement,
  StatementNames,
  type StatementUse,
  statementRunner,
} from '#signalbox/orm/statements.js';
import { addressOf, connectOrm } from '../support/database.js';
import { createDatabase } from '../support/postgres.js';

describe('Statements', () => {
  let orm: MikroORM;
  let names: StatementNames;
  /** Of another word in each spec: the driver remembers what it has prepared. */
  let byId: { readonly name: string; readonly text: string };
  let count = 0;

  before(async () => {
    // One connection, so that it is known which one has a statement.
    orm = await connectOrm(await createDatabase('statements'), { entities: [], pool: { max: 1 } });
  });
  after(() => orm.close(true));
  beforeEach(async () => {
    names = new StatementNames();
    count += 1;
    byId = { name: `thing_${count}`, text: 'select * from thing where id = $1' };
    await orm.em.execute('deallocate all');
    await orm.em.execute('drop table if exists thing');
    await orm.em.execute('create table thing (id int primary key, name text)');
    await orm.em.execute(`insert into thing values (1, 'a')`);
  });

  const connectionOf = (em: EntityManager): StatementConnection =>
    em.getTransactionContext<StatementConnection>() ?? clientOf(em);
  const run = (parameters: readonly unknown[] = [1], statement: Statement = byId) =>
    runStatement(clientOf(orm.em), statement, parameters, names);
  const prepared = async (): Promise<string[]> => {
    const rows: { name: string }[] = await orm.em.execute(
      `select name from pg_prepared_statements where statement like '%thing%' order by prepare_time`,
    );
    return rows.map(({ name }) => name);
  };

  it('run with parameters, prepared under a name of their word and their text', async () => {
    expect(await run()).to.deep.equal([{ id: 1, name: 'a' }]);
    expect(await run([2])).to.deep.equal([]);
    expect(await prepared()).to.deep.equal([names.of(byId)]);
    expect(names.of(byId)).to.match(/^signalbox_thing_1_[0-9a-f]{16}_1$/);
  });

  it('are not prepared without a word', async () => {
    await run([1], { text: byId.text });
    expect(await prepared()).to.deep.equal([]);
  });

  it('run in a transaction', async () => {
    const rows = await orm.em.transactional(async (em) => {
      await em.execute(`insert into thing values (2, 'b')`);
      return runStatement(connectionOf(em), { text: byId.text }, [2]);
    });
    expect(rows).to.deep.equal([{ id: 2, name: 'b' }]);
  });

  it('are prepared at most 64 at a time on a connection: the one that ran least recently makes room', async () => {
    const other = (at: number): Statement => ({ name: 'other', text: `select ${at} as thing where $1 = 1` });
    await run();
    for (let at = 0; at < 63; at += 1) await run([1], other(at));
    await run();
    await run([1], other(63));
    const kept = await prepared();
    expect(kept).to.have.length(64);
    expect(kept)
      .to.include(names.of(byId))
      .and.not.include(names.of(other(0)));
    expect(await run([1], other(0))).to.deep.equal([{ thing: 0 }]);
    expect(await prepared()).to.have.length(64);
  });

  it('keep their names among as many texts of others as clients may think of', async () => {
    const before = names.of(byId);
    for (let at = 0; at < 2_000; at += 1) {
      names.of({ name: 'other', text: `select ${at}` });
      names.of(byId);
    }
    expect(names.of(byId)).to.equal(before);
  });

  it('run where a parameter did not fit before, although the statement is prepared by then', async () => {
    await run(['x']).catch(() => {});
    expect(await run()).to.deep.equal([{ id: 1, name: 'a' }]);
    expect(await prepared()).to.deep.equal([names.of(byId)]);
  });

  it('take what the ORM gives: lists, bytes, dates, null', async () => {
    const values = [
      ['a"b', null],
      Buffer.from([0, 255]),
      new Date('2026-01-31T12:00:00Z'),
      null,
      12n,
      true,
      { a: [1] },
    ];
    const text =
      'select $1::text[] as list, $2::bytea as bytes, $3::timestamptz = $8 as date, $4::int as nothing, $5::bigint as big, $6::bool as yes, $7::jsonb as json';
    expect(await run([...values, '2026-01-31 12:00:00+00'], { ...byId, text })).to.deep.equal([
      {
        list: ['a"b', null],
        bytes: Buffer.from([0, 255]),
        date: true,
        nothing: null,
        big: '12',
        yes: true,
        json: { a: [1] },
      },
    ]);
  });

  it('run one after another on their connection, in the order in which they were sent', async () => {
    const found = await Promise.all([run([1]), run([2]), run(['x']).catch(() => 'refused'), run([1])]);
    expect(found).to.deep.equal([[{ id: 1, name: 'a' }], [], 'refused', [{ id: 1, name: 'a' }]]);
  });

  it('take another name where the columns of a table have changed', async () => {
    const before = names.of(byId);
    await run();
    await orm.em.execute('alter table thing add column more int');
    expect(await run()).to.deep.equal([{ id: 1, name: 'a', more: null }]);
    expect(names.of(byId)).to.not.equal(before);
    expect(await run()).to.deep.equal([{ id: 1, name: 'a', more: null }]);
  });

  it('fail in a transaction where the columns of a table have changed, and run in the next one', async () => {
    const inTransaction = () => orm.em.transactional((em) => runStatement(connectionOf(em), byId, [1], names));
    await inTransaction();
    await orm.em.execute('alter table thing add column more int');
    const error = await inTransaction().catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', '0A000');
    expect(await inTransaction()).to.deep.equal([{ id: 1, name: 'a', more: null }]);
  });

  it('go without names from then on where a pooler has put another server connection behind', async () => {
    await run();
    await orm.em.execute('deallocate all');
    expect(await run()).to.deep.equal([{ id: 1, name: 'a' }]);
    expect(names.of(byId)).to.equal(undefined);
    await run();
    expect(await prepared()).to.deep.equal([]);
  });

  it('fail with the error of the database', async () => {
    const error = await run(['x']).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', '22P02');
  });

  it('run on a connection of the pool, which they tell of, also where the ORM has not connected yet', async () => {
    const lazy = new MikroORM({
      clientUrl: addressOf({ orm }),
      entities: [],
      metadataProvider: ReflectMetadataProvider,
      discovery: { warnWhenNoEntities: false },
    });
    const use: StatementUse = { connectedAt: undefined };
    const before = performance.now();
    try {
      const rows = await statementRunner(lazy.em, { preparedStatements: true })(byId, [1], use);
      expect(rows).to.deep.equal([{ id: 1, name: 'a' }]);
      expect(use.connectedAt).to.be.within(before, performance.now());
    } finally {
      await lazy.close(true);
    }
  });

  it('run behind the hooks that the ORM has for its connections', async () => {
    const taken: unknown[] = [];
    const hooked = await connectOrm(addressOf({ orm }), {
      entities: [],
      pool: { max: 1 },
      onReserveConnection: async (connection) => {
        taken.push(connection);
      },
    });
    try {
      for (let round = 1; round <= 3; round += 1) {
        expect(await runStatement(clientOf(hooked.em), byId, [1], names)).to.deep.equal([{ id: 1, name: 'a' }]);
        expect(taken).to.have.length(round);
      }
    } finally {
      await hooked.close(true);
    }
  });

  it('give their connection back, whatever comes of them', async () => {
    for (const parameters of [[1], ['x'], [1]]) await run(parameters).catch(() => {});
    const { totalCount, idleCount } = await orm.em.getConnection().getNativeClient();
    expect([totalCount, idleCount]).to.deep.equal([1, 1]);
  });

  it('are not prepared where the settings say so', async () => {
    await statementRunner(orm.em, { preparedStatements: false })(byId, [1]);
    expect(await prepared()).to.deep.equal([]);
  });
});
