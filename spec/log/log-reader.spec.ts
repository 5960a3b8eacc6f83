import { expect } from 'chai';
import pg from 'pg';
import { MemoryLogger } from 'signalbox/testing';
import type { LogReader } from '#signalbox/log/log-reader.js';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { defaultSettings } from '#signalbox/settings.js';
import { logReaderOf } from '../support/changes.js';
import { addressOf, useDatabase } from '../support/database.js';

describe('The reader of the change log, beside transactions that overlap', () => {
  const database = useDatabase('log_reader');
  let reader: LogReader;
  let received: string[][];
  let early: pg.Client;
  let late: pg.Client;

  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client(addressOf(database));
    await client.connect();
    return client;
  };
  const append = (client: pg.Client, text: string) =>
    client.query('insert into signalbox.log (entries) values ($1)', [text]);

  beforeEach(async () => {
    const { em } = database.orm;
    await em.execute('drop schema if exists signalbox cascade');
    await prepareLog(em, defaultSettings.changeLog, new MemoryLogger());
    received = [];
    reader = logReaderOf(em, {
      receive: ({ rows }) => received.push(rows.map(({ entries }) => entries)),
      missed: (reason) => received.push([`missed: ${reason}`]),
    });
    await reader.start();
    [early, late] = [await connect(), await connect()];
  });
  afterEach(async () => {
    await reader.stop();
    for (const client of [early, late]) await client.end();
  });

  it('gives what others commit while a transaction stays open, and the rows of that when it commits', async () => {
    await early.query('begin');
    await append(early, 'early');
    await append(late, 'late');
    await reader.read();
    expect(received).to.deep.equal([['late']]);
    await reader.read();
    await early.query('commit');
    await reader.read();
    expect(received).to.deep.equal([['late'], ['early']]);
  });

  it('gives rows in the order in which they were appended, and not in that in which their transactions began', async () => {
    await early.query('begin');
    await early.query('select pg_current_xact_id()');
    await append(late, 'first');
    await append(early, 'second');
    await early.query('commit');
    await reader.read();
    expect(received).to.deep.equal([['first', 'second']]);
  });
});
