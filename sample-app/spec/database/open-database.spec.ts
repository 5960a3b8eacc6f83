import { expect } from 'chai';
import { openDatabase } from '../../src/database/open-database.js';

describe('The database that cannot be opened', () => {
  const open = (databaseUrl: string): Promise<string> =>
    openDatabase({ host: 'localhost', port: 0, dataFolder: 'unused', databaseUrl }).then(
      () => 'opened',
      (error: Error) => `${error.name}: ${error.message}`,
    );

  it('since no server answers: the sentence says which, and what to do', async () => {
    expect(await open('postgresql://nobody@127.0.0.1:1/none')).to.equal(
      'StartError: The database cannot be opened: connect ECONNREFUSED 127.0.0.1:1. Start PostgreSQL, or correct DATABASE_URL in the environment or in .env.',
    );
  });

  for (const address of ['nonsense', 'postgresql://localhost', 'postgresql://localhost/']) {
    it(`since DATABASE_URL is ${address}`, async () => {
      expect(await open(address)).to.equal(
        'StartError: DATABASE_URL names no database. Write it as postgresql://user:password@localhost:5432/name, in the environment or in .env.',
      );
    });
  }
});
