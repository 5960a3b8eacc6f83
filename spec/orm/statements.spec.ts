import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  runStatement,
  type Statement,
  StatementNames,
  type StatementUse,
  statementRunner,
  writeConnection,
} from '#signalbox/orm/statements.js';
import { createDatabase } from '../support/postgres.js';

describe('Statements', () => {
  let orm: MikroORM;
  let names: StatementNames;
  /** Of another word in each spec: the driver remembers what it has prepared. */
  let byId: { readonly name: string; readonly text: string };
  let count = 0;

  before(async () => {
    orm = await MikroORM.init({
      clientUrl: await createDatabase('statements'),
      entities: [],
      metadataProvider: ReflectMetadataProvider,
      discovery: { warnWhenNoEntities: false },
      // One connection, so that it is known which one has a statement.
      pool: { max: 1 },
    });
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

  const run = (parameters: readonly unknown[] = [1], statement: Statement = byId) =>
    runStatement(writeConnection(orm.em).getClient(), statement, parameters, names);
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
      return runStatement(em.getTransactionContext() as never, { text: byId.text }, [2]);
    });
    expect(rows).to.deep.equal([{ id: 2, name: 'b' }]);
  });

  it('have a bounded number of names', () => {
    const few = new StatementNames(2);
    const texts = ['select 1', 'select 2', 'select 3', 'select 1'];
    expect(texts.map((text) => few.of({ name: 'few', text }) !== undefined)).to.deep.equal([true, true, false, true]);
    const many = Array.from({ length: 70 }, (_, at) => names.of({ name: 'many', text: `select ${at}` }));
    expect(new Set(many.filter((name) => name !== undefined)).size).to.equal(64);
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
    const inTransaction = () =>
      orm.em.transactional((em) => runStatement(em.getTransactionContext() as never, byId, [1], names));
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
      clientUrl: orm.config.get('clientUrl') ?? '',
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

  it('are not prepared where the settings say so', async () => {
    await statementRunner(orm.em, { preparedStatements: false })(byId, [1]);
    expect(await prepared()).to.deep.equal([]);
  });
});
