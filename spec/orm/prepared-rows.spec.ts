import { expect } from 'chai';
import { addressOf, useDatabase } from '../support/database.js';
import type { PreparedStatementsCommands, PreparedStatementsOptions } from '../support/prepared-statements.js';
import { Program } from '../support/programs.js';

describe('Statements that read and write rows', () => {
  const database = useDatabase('prepared_rows');

  async function namesWith(preparedStatements: boolean): Promise<readonly string[]> {
    const clientUrl = addressOf(database);
    const options: PreparedStatementsOptions = { clientUrl, preparedStatements };
    await using program = await Program.start<PreparedStatementsCommands>(
      new URL('../support/prepared-statements.js', import.meta.url),
      options,
    );
    return await program.ask('namesOfStatements');
  }

  it('are prepared under a name, once for each shape', async () => {
    expect(await namesWith(true)).to.deep.equal(['signalbox_create', 'signalbox_read', 'signalbox_read']);
  });

  it('have no name where the setting says so, for a pooler that knows none', async () => {
    expect(await namesWith(false)).to.deep.equal([]);
  });
});
