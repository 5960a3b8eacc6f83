import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Migrator } from '@mikro-orm/migrations';
import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import pg from 'pg';
import { ConfigurationError } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import type { LogBatch } from '#signalbox/log/log-reader.js';
import { checkLog, emptyingScript, logScript, prepareLog } from '#signalbox/log/log-schema.js';
import { Retention } from '#signalbox/log/retention.js';
import { writeConnection } from '#signalbox/orm/statements.js';
import { logReaderOf } from '../support/changes.js';
import { connectOrm } from '../support/database.js';
import { Author } from '../support/library.js';
import { createDatabase } from '../support/postgres.js';

describe('The tables of the change log', () => {
  const settings = { durability: 'unlogged', slotMinutes: 15 } as const;
  const logger = new MemoryLogger();
  let url: string;
  let owner: pg.Client;
  const orms: MikroORM[] = [];

  before(async () => {
    url = await createDatabase('log schema');
    owner = new pg.Client(url);
    await owner.connect();
    await owner.query('create role plain login');
  });
  beforeEach(async () => {
    logger.entries.splice(0);
    await owner.query('drop schema if exists signalbox cascade');
  });
  afterEach(async () => {
    for (const orm of orms.splice(0)) await orm.close(true);
  });
  after(async () => {
    await owner.query('drop owned by plain cascade');
    await owner.query('drop role plain');
    await owner.end();
  });

  const connect = async (role = 'postgres', options: Options = {}): Promise<MikroORM> => {
    const orm = await connectOrm(url.replace('postgres@', `${role}@`), {
      entities: [Author],
      extensions: [Migrator],
      ...options,
    });
    orms.push(orm);
    return orm;
  };
  const prepare = async (given: Parameters<typeof prepareLog>[1] = settings, role?: string): Promise<void> =>
    prepareLog((await connect(role)).em, given, logger);
  const failure = async (role: string): Promise<string> => {
    const error = await prepare(settings, role).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ConfigurationError);
    return (error as Error).message;
  };
  const rows = async (sql: string): Promise<unknown[]> => (await owner.query(sql)).rows;
  const persistence = () =>
    rows(
      `select distinct relpersistence from pg_class where relkind = 'r' and relname ~ '^(log_.|state)$' and relnamespace = 'signalbox'::regnamespace`,
    );

  it('are made once, however many processes begin at once', async () => {
    const ems = await Promise.all([connect(), connect(), connect()]);
    await Promise.all(ems.map(({ em }) => prepareLog(em, settings, logger)));
    await prepare();
    expect(await rows('select version, slot_minutes from signalbox.version')).to.deep.equal([
      { version: 1, slot_minutes: 15 },
    ]);
    expect(await rows('select count(*)::int as count from signalbox.state')).to.deep.equal([{ count: 1 }]);
    expect(await persistence()).to.deep.equal([{ relpersistence: 'u' }]);
    expect(logger.entries).to.deep.equal([]);
  });

  const later = async (): Promise<unknown> =>
    (
      await rows(
        `select tablename from pg_tables where schemaname = 'signalbox' and tablename in ('observed', 'ticket') order by 1`,
      )
    ).map((row) => (row as { tablename: string }).tablename);

  it('of an earlier version are completed', async () => {
    await prepare();
    const [before] = await rows('select epoch from signalbox.state');
    await owner.query('drop table signalbox.observed, signalbox.ticket');
    await prepare();
    expect(await later()).to.deep.equal(['observed', 'ticket']);
    expect(await rows('select epoch from signalbox.state')).to.deep.equal([before]);
  });

  it('of an earlier version cannot be completed by a role without rights, which is told the SQL', async () => {
    await owner.query(logScript(settings, 'plain'));
    await owner.query('drop table signalbox.observed');
    const message = await failure('plain');
    expect(message).to.match(
      /^createApp\.orm: has the change log of an earlier version of Signalbox, and its role "plain" may not complete it: permission denied for schema signalbox\. Run this as the owner of the tables\.\n\nbegin;\n/,
    );
    await owner.query(message.slice(message.indexOf('begin;')));
    await prepare(settings, 'plain');
    expect(await later()).to.deep.equal(['observed', 'ticket']);
  });

  it('become what the settings say at the next start', async () => {
    await prepare();
    const [before] = await rows('select epoch from signalbox.state');
    await owner.query('alter role postgres set synchronous_commit = on');
    await prepare({ durability: 'logged', slotMinutes: 60 });
    expect(await persistence()).to.deep.equal([{ relpersistence: 'p' }]);
    expect(await rows('select slot_minutes from signalbox.version')).to.deep.equal([{ slot_minutes: 60 }]);
    const [kept] = await rows(
      `select pg_get_expr(adbin, adrelid) as text from pg_attrdef where adrelid = 'signalbox.log'::regclass and pg_get_expr(adbin, adrelid) like 'floor%' or pg_get_expr(adbin, adrelid) like '%3600%'`,
    );
    expect(kept).to.have.property('text').that.contains('3600');
    await prepare();
    expect(await persistence()).to.deep.equal([{ relpersistence: 'u' }]);
    expect(await rows('select epoch from signalbox.state')).to.deep.equal([before]);
    await owner.query('alter role postgres reset synchronous_commit');
    expect(logger.entries).to.deep.equal([]);
  });

  it('warn where they are logged and commits are not', async () => {
    await prepare({ durability: 'logged', slotMinutes: 15 });
    expect(logger.entries.map(({ level, message }) => [level, message])).to.deep.equal([
      [
        'warn',
        'synchronous_commit is off: after a crash of the database server, changes may be missed without a word.',
      ],
    ]);
  });

  it('are left as they are, with a warning, where the role does not own them', async () => {
    await owner.query(logScript(settings, 'plain'));
    await prepare({ durability: 'unlogged', slotMinutes: 60 }, 'plain');
    expect(await rows('select slot_minutes from signalbox.version')).to.deep.equal([{ slot_minutes: 15 }]);
    expect(logger.entries.map(({ level, message }) => [level, message])).to.deep.equal([
      ['warn', 'The change log does not have the shape that the settings ask for, and could not be altered.'],
    ]);
    expect(logger.entries[0]?.fields['sql']).to.contain('alter table signalbox.log alter column slot set default');
  });

  it('cannot be made by a role without rights, which is told the SQL', async () => {
    const [{ name } = { name: '' }] = (await rows('select current_database() as name')) as { name: string }[];
    expect(await failure('plain')).to.equal(
      `createApp.orm: has no change log yet, and its role "plain" may not make it: permission denied for database ${name}. ` +
        'Run this as a role that may; `npx signalbox log:sql --role plain` prints it too.\n\n' +
        logScript(settings, 'plain'),
    );
  });

  it('are missed by a look that makes nothing', async () => {
    const look = async (role: string): Promise<unknown> =>
      checkLog((await connect(role)).em, settings).catch((error: Error) => error.message.split('\n')[0]);
    expect(await look('postgres')).to.equal(undefined);
    expect(await rows(`select from pg_namespace where nspname = 'signalbox'`)).to.deep.equal([]);
    expect(await look('plain')).to.equal(
      'createApp.orm: has no change log yet, and its role "plain" may not make it: permission denied to create a schema. ' +
        'Run this as a role that may; `npx signalbox log:sql --role plain` prints it too.',
    );
    await owner.query(logScript(settings, 'plain'));
    expect(await look('plain')).to.equal(undefined);
    await owner.query('revoke select on signalbox.log from plain');
    expect(await look('plain')).to.equal(
      'createApp.orm: has a change log that its role "plain" may not use: it lacks select on signalbox.log. Run this as the owner of the tables.',
    );
  });

  it('are what the script makes, for a role without rights', async () => {
    await owner.query(logScript(settings, 'plain'));
    await prepare(settings, 'plain');
    expect(await persistence()).to.deep.equal([{ relpersistence: 'u' }]);
  });

  it('can be made by a role without rights in a schema that was made for it', async () => {
    await owner.query('create schema signalbox authorization plain');
    await checkLog((await connect('plain')).em, settings);
    await prepare(settings, 'plain');
    expect(await persistence()).to.deep.equal([{ relpersistence: 'u' }]);
    await owner.query('drop schema signalbox cascade');
    await owner.query('create schema signalbox');
    expect(await failure('plain')).to.contain('may not make it: permission denied for schema signalbox.');
  });

  it('let a role write, read and prune that has only the rights which the script grants', async () => {
    await owner.query(logScript(settings, 'plain'));
    const { em } = await connect('plain');
    const batches: LogBatch[] = [];
    const reader = logReaderOf(em, {
      prepare: () => prepareLog(em, settings, logger),
      receive: (batch) => batches.push(batch),
    });
    await reader.start();
    await em.execute(`insert into signalbox.log (entries) values ('a')`);
    await reader.read();
    expect(batches.flatMap(({ rows }) => rows.map(({ entries }) => entries))).to.deep.equal(['a']);
    await owner.query(`update signalbox.log set at = at - interval '1 day', slot = (slot + 1) % 8`);
    await owner.query(
      `update signalbox.state set mark = pg_current_snapshot(), marked_at = marked_at - interval '1 day'`,
    );
    expect(await new Retention(em, settings, logger).prune()).to.have.length(1);
    await owner.query('delete from signalbox.state');
    await reader.read();
    await reader.stop();
    expect(await rows('select count(*)::int as count from signalbox.state')).to.deep.equal([{ count: 1 }]);
  });

  it('name each right that is missing', async () => {
    await owner.query(logScript(settings, 'plain'));
    await owner.query('revoke insert on signalbox.log from plain');
    await owner.query('revoke truncate on signalbox.log_3 from plain');
    expect(await failure('plain')).to.match(
      /^createApp\.orm: has a change log that its role "plain" may not use: it lacks insert on signalbox\.log, truncate on signalbox\.log_3\. Run this as the owner of the tables\.\n\nbegin;\ngrant usage on schema signalbox to "plain";\n/,
    );
    await owner.query('drop schema signalbox cascade');
    await owner.query(logScript(settings));
    expect(await failure('plain')).to.contain('usage on schema signalbox');
  });

  it('of a newer version are refused', async () => {
    await prepare();
    await owner.query('update signalbox.version set version = 2');
    expect(await failure('postgres')).to.equal(
      'createApp.orm: has a change log of a newer version of Signalbox. Run that version, or a newer one, in all processes.',
    );
  });

  for (const [what, server, text] of [
    [
      'an old server',
      { number: 120_004, text: '12.4', isStandby: false },
      'createApp.orm: is PostgreSQL 12.4, and the change log needs 13 or newer. Upgrade the server.',
    ],
    [
      'a standby',
      { number: 150_000, text: '15.0', isStandby: true },
      'createApp.orm: is a standby, which takes no writes. Give MikroORM the address of the primary; standbys go into `replicas`.',
    ],
  ] as const) {
    it(`are refused on ${what}`, async () => {
      const { em } = await connect();
      const client = writeConnection(em).getClient();
      client.executeQuery = async () => ({ rows: [server] });
      const error = await prepareLog(em, settings, logger).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(ConfigurationError).with.property('message', text);
    });
  }

  it('are emptied by a script that gives them another epoch', async () => {
    await prepare();
    await owner.query(`insert into signalbox.log (entries) values ('a')`);
    const [before] = await rows('select epoch from signalbox.state');
    await owner.query(emptyingScript);
    expect(await rows('select count(*)::int as count from signalbox.log')).to.deep.equal([{ count: 0 }]);
    const [after] = await rows('select epoch from signalbox.state');
    expect(after).to.have.property('epoch');
    expect(after).to.not.deep.equal(before);
  });

  it('are none that the schema generator or a migration would drop', async () => {
    await prepare();
    const unaware = await connect();
    expect(await unaware.schema.getUpdateSchemaSQL()).to.contain('drop schema if exists "signalbox"');
    const folder = await mkdtemp(join(tmpdir(), 'signalbox-migrations-'));
    const orm = await connect('postgres', {
      schemaGenerator: { ignoreSchema: ['other'] },
      migrations: { path: folder, snapshot: false },
    });
    await prepareLog(orm.em, settings, logger);
    const { diff } = await orm.migrator.create();
    await rm(folder, { recursive: true });
    expect(diff.up.join('\n')).to.contain('create table "author"');
    expect([...diff.up, ...diff.down].join('\n')).to.not.contain('signalbox');
  });
});
