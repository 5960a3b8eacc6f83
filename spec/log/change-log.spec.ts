import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import type { RunStatement } from '#signalbox/orm/statements.js';
import { itIsAChangeLog } from '../contracts/change-log-contract.js';
import { openEmbedded } from '../support/embedded-database.js';
import { createDatabase } from '../support/postgres.js';

const common = { entities: [], metadataProvider: ReflectMetadataProvider, discovery: { warnWhenNoEntities: false } };

describe('The change log on PostgreSQL', () => {
  let orm: MikroORM;
  let url: string;

  before(async () => {
    url = await createDatabase('change log');
    orm = await MikroORM.init({ ...common, clientUrl: url, pool: { max: 20 } });
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
  let orm: import('@mikro-orm/pglite').MikroORM;

  before(async function () {
    this.timeout(120_000);
    orm = await openEmbedded([]);
    await orm.em.execute('select 1');
  });
  after(() => orm.close(true));

  itIsAChangeLog(() => ({ em: orm.em }), { hasServer: false });
});
