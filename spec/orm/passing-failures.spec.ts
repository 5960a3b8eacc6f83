import { expect } from 'chai';
import { isPassingFailure } from '#signalbox/orm/orm-errors.js';
import { outlastFailures } from '#signalbox/orm/passing-failures.js';
import { useDatabase } from '../support/database.js';

describe('A failure of the database', () => {
  const database = useDatabase('passing_failures');

  const failureOf = (...statements: readonly string[]): Promise<unknown> =>
    database.orm.em
      .fork()
      .transactional(async (em) => {
        for (const statement of statements) await em.execute(statement);
      })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
  const raising = (code: string): string => `do $$ begin raise exception 'no' using errcode = '${code}'; end $$`;

  for (const { what, statements } of [
    {
      what: 'of a statement that takes too long',
      statements: [`set local statement_timeout = 10`, 'select pg_sleep(10)'],
    },
    { what: 'of a transaction that fits into no order', statements: [raising('40001')] },
    { what: 'of a deadlock', statements: [raising('40P01')] },
    { what: 'of a lock that is not to be had in time', statements: [raising('55P03')] },
    { what: 'of a server that shuts down', statements: [raising('57P01')] },
  ])
    it(`${what} passes`, async () => {
      expect(isPassingFailure(await failureOf(...statements))).to.equal(true);
    });

  for (const { what, statement } of [
    { what: 'of a statement that is wrong', statement: 'select nothing' },
    {
      what: 'of a unique column',
      statement: `insert into room (name, archived) values ('red', false), ('red', false)`,
    },
  ])
    it(`${what} stays`, async () => {
      expect(isPassingFailure(await failureOf(statement))).to.equal(false);
    });

  it('that passes has work done again until it succeeds', async () => {
    const passing = await failureOf(raising('57P01'));
    const failures = [passing, passing, passing];
    const work = async (): Promise<string> => {
      if (failures.length > 0) throw failures.pop();
      return 'done';
    };
    expect(await outlastFailures(work, { timeLimit: 20_000 })).to.equal('done');
  });

  for (const { what, timeLimit, isWanted, code, most } of [
    { what: 'that stays', timeLimit: 20_000, isWanted: true, code: '42P01', most: 1 },
    { what: 'behind work that no one needs', timeLimit: 20_000, isWanted: false, code: '57P01', most: 1 },
    { what: 'where nothing is to be tried again', timeLimit: 0, isWanted: true, code: '57P01', most: 1 },
    { what: 'that goes on for too long', timeLimit: 100, isWanted: true, code: '57P01', most: 2 },
  ])
    it(`${what} is thrown`, async () => {
      const failure = await failureOf(raising(code));
      let attempts = 0;
      const work = async (): Promise<never> => {
        attempts += 1;
        throw failure;
      };
      const thrown = await outlastFailures(work, { timeLimit, isWanted: () => isWanted }).catch(
        (error: unknown) => error,
      );
      expect(thrown).to.equal(failure);
      expect(attempts).to.be.within(1, most);
    });
});
