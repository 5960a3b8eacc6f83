import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { recordChanges } from '../support/changes.js';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';

describe('What a transaction tells', () => {
  const database = useDatabase('commit_buffer');
  const recorded = recordChanges(database);
  let em: EntityManager;

  beforeEach(() => {
    em = database.orm.em.fork();
  });

  it('is told by an implicit flush, once for all of it', async () => {
    em.create(Room, { name: 'red' });
    em.create(Room, { name: 'blue' });
    await em.flush();
    expect(await recorded.told()).to.deep.equal([['create Room 1', 'create Room 2']]);
  });

  it('is nothing where a flush has nothing to write', async () => {
    await em.flush();
    await em.transactional(async () => undefined);
    expect(await recorded.told()).to.deep.equal([]);
  });

  it('is kept over several flushes until the commit', async () => {
    await em.transactional(async (inner) => {
      inner.create(Room, { name: 'red' });
      await inner.flush();
      inner.create(Room, { name: 'blue' });
      await inner.flush();
      expect(await recorded.told()).to.deep.equal([]);
    });
    expect(await recorded.told()).to.deep.equal([['create Room 1', 'create Room 2']]);
  });

  it('is nothing after a rollback', async () => {
    const work = em.transactional(async (inner) => {
      await inner.persist(inner.create(Room, { name: 'red' })).flush();
      throw new Error('no');
    });
    await rejects(work, 'no');
    expect(await recorded.told()).to.deep.equal([]);
    await database.orm.em.fork().transactional(async () => undefined);
    expect(await recorded.told()).to.deep.equal([]);
  });

  it('is nothing of a flush that fails half-way', async () => {
    em.create(Room, { name: 'red' });
    em.create(Room, { name: 'red' });
    await rejects(em.flush(), 'duplicate key');
    expect(await recorded.told()).to.deep.equal([]);
  });

  it('has nothing of a savepoint that is rolled back while the transaction around it commits', async () => {
    await em.transactional(async (outer) => {
      await add(outer, 'red');
      await rejects(
        outer.transactional(async (inner) => {
          await add(inner, 'blue');
          throw new Error('no');
        }),
        'no',
      );
      await add(outer, 'green');
    });
    expect(await recorded.told()).to.deep.equal([['create Room 1', 'create Room 3']]);
  });

  it('has what a released savepoint wrote, only once the outermost of three transactions commits', async () => {
    await em.transactional(async (outer) => {
      await outer.transactional(async (middle) => {
        await middle.transactional((inner) => add(inner, 'red'));
        expect(await recorded.told()).to.deep.equal([]);
        await add(middle, 'blue');
      });
      expect(await recorded.told()).to.deep.equal([]);
    });
    expect(await recorded.told()).to.deep.equal([['create Room 1', 'create Room 2']]);
  });

  it('is nothing where the outermost transaction rolls back what its savepoints released', async () => {
    const work = em.transactional(async (outer) => {
      await outer.transactional((middle) => middle.transactional((inner) => add(inner, 'red')));
      throw new Error('no');
    });
    await rejects(work, 'no');
    expect(await recorded.told()).to.deep.equal([]);
  });

  it('has nothing of what a rolled-back savepoint had released into it', async () => {
    await em.transactional(async (outer) => {
      await rejects(
        outer.transactional(async (middle) => {
          await middle.transactional((inner) => add(inner, 'red'));
          throw new Error('no');
        }),
        'no',
      );
      await add(outer, 'blue');
    });
    expect(await recorded.told()).to.deep.equal([['create Room 2']]);
  });

  it('follows transactions that are begun, committed and rolled back by hand', async () => {
    await em.begin();
    await add(em, 'red');
    const outer = em.getTransactionContext();
    await em.begin({ ctx: outer });
    await add(em, 'blue');
    await em.rollback();
    em.setTransactionContext(outer);
    await em.begin({ ctx: outer });
    await add(em, 'green');
    await em.commit();
    expect(await recorded.told()).to.deep.equal([]);
    em.setTransactionContext(outer);
    await em.commit();
    expect(await recorded.told()).to.deep.equal([['create Room 1', 'create Room 3']]);
  });

  it('is nothing, and the commit rejects, where PostgreSQL has aborted the transaction and the error was swallowed', async () => {
    const work = em.transactional(async (inner) => {
      await add(inner, 'red');
      await inner.execute('select no_such_column').catch(() => undefined);
    });
    await rejects(work, 'PostgreSQL has rolled the transaction back');
    expect(await recorded.told()).to.deep.equal([]);
    expect(await database.orm.em.fork().count(Room)).to.equal(0);
  });

  it('is separate for two transactions that are open at the same time', async () => {
    const other = database.orm.em.fork();
    await em.transactional(async (one) => {
      await add(one, 'red');
      await other.transactional((two) => add(two, 'blue'));
      expect(await recorded.told()).to.deep.equal([['create Room 2']]);
    });
    expect(await recorded.told()).to.deep.equal([['create Room 2'], ['create Room 1']]);
  });

  it('is told at once where transactions are switched off', async () => {
    const loose = database.orm.em.fork({ disableTransactions: true });
    await add(loose, 'red');
    expect(await recorded.told()).to.deep.equal([['create Room 1']]);
  });
});

async function add(em: EntityManager, name: string): Promise<void> {
  await em.persist(em.create(Room, { name })).flush();
}

async function rejects(work: Promise<unknown>, text: string): Promise<void> {
  const outcome = await work.then(
    () => 'resolved',
    (error: Error) => error.message,
  );
  expect(outcome).to.include(text);
}
