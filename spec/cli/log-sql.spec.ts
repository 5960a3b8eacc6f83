import { expect } from 'chai';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { logSql } from '#signalbox/cli/log-sql.js';
import { emptyingScript, logScript } from '#signalbox/log/log-schema.js';
import { TestTerminal } from '../support/test-terminal.js';

describe('signalbox log:sql', () => {
  const run = async (...words: string[]) => {
    const terminal = new TestTerminal();
    const code = await runCommandLine([logSql], ['log:sql', ...words], terminal);
    return { code, written: terminal.written, errors: terminal.errors };
  };

  it('prints the SQL of the tables', async () => {
    const { code, written } = await run();
    expect(code).to.equal(0);
    expect(written).to.equal(logScript({ durability: 'unlogged', slotMinutes: 15 }));
    expect(written).to.match(/^begin;\ndo \$\$ begin\n {2}if not exists/);
    expect(written).to.contain('create unlogged table signalbox.log_7 partition of signalbox.log for values in (7);\n');
    expect(written).to.match(/on conflict do nothing;\ncommit;\n$/);
  });

  it('prints it for other settings, and the rights of a role', async () => {
    const { written } = await run('--durability', 'logged', '--slot-minutes', '360', '--role', 'my "app"');
    expect(written).to.equal(logScript({ durability: 'logged', slotMinutes: 360 }, 'my "app"'));
    expect(written).to.not.contain('unlogged');
    expect(written).to.contain('/ 21600)');
    expect(written).to.contain('grant select, insert on signalbox.log to "my ""app""";\n');
  });

  it('prints the SQL that empties the log', async () => {
    expect(await run('--empty')).to.deep.equal({ code: 0, written: emptyingScript, errors: '' });
    expect(emptyingScript).to.equal(`begin;
truncate signalbox.log;
delete from signalbox.state;
insert into signalbox.state default values on conflict do nothing;
select pg_notify('signalbox_log', 'log');
commit;
`);
  });

  for (const [words, text] of [
    [['--durability', 'fast'], '--durability is "fast". Give unlogged or logged.\n'],
    [['--slot-minutes', '0'], '--slot-minutes is "0". Give a whole number from 1 to 10080.\n'],
    [['--slot-minutes', 'x'], '--slot-minutes is "x". Give a whole number from 1 to 10080.\n'],
  ] as const) {
    it(`refuses ${words.join(' ')}`, async () => {
      expect(await run(...words)).to.deep.equal({ code: 2, written: '', errors: text });
    });
  }
});
