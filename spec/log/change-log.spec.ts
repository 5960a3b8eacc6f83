import type { MikroORM as EmbeddedOrm } from '@mikro-orm/pglite';
import type { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import type { RunStatement } from '#signalbox/orm/statements.js';
import { itIsAChangeLog } from '../contracts/change-log-contract.js';
import { connectOrm } from '../support/database.js';
import { openEmbedded } from '../support/embedded-database.js';
import { createDatabase } from '../support/postgres.js';

describe('The change log on PostgreSQL', () => {
  let orm: MikroORM;
  let url: string;

  before(async () => {
    url = await createDatabase('change log');
    orm = await connectOrm(url, { entities: [], pool: { max: 20 } });
  });
  after(() => orm.close(true));

  const roaming: RunStatement = async <Row>({ text }: { readonly text: string }, parameters: readonly unknown[]) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      const { rows } = await client.query(text, [...parameters]);
      return rows as Row[];
    } finally {
      await client.end();
    }
  };

  itIsAChangeLog(() => ({ em: orm.em, roaming }), { hasServer: true });
});

describe('The change log on PGlite', () => {
  let orm: EmbeddedOrm;

  before(async function () {
    this.timeout(120_000);
    orm = await openEmbedded([]);
    await orm.em.execute('select 1');
  });
  after(() => orm.close(true));

  itIsAChangeLog(() => ({ em: orm.em }), { hasServer: false });
});
