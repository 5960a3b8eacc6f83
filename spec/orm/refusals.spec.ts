import { expect } from 'chai';
import { Consumer, createApp, List, ModelConsumer, ModelSerializer, mix, path, Retrieve } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Slip } from '../support/deferred.js';
import { offlineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';
import { RowClient } from '../support/rows.js';

@injectable()
class CodeSerializer extends ModelSerializer(Slip, { fields: ['id', 'code'] }) {}

@injectable()
class SlipSerializer extends ModelSerializer(Slip, { fields: ['id', 'behind'], nested: { behind: CodeSerializer } }) {}

@Consumer()
class SlipConsumer extends mix(ModelConsumer(Slip, { serializer: SlipSerializer }), List, Retrieve) {}

describe('A database that cannot be reached', () => {
  it('is a 503 for each read, which says when to try again', async () => {
    const orm = await offlineOrm([Slip]);
    const app = createApp({ orm, container: testProviders().container, routes: [path('/ws/', SlipConsumer)] });
    try {
      const ann = await connect(app, '/ws/');
      for (const reply of [await ann.request('list'), await ann.request('retrieve', { pk: 1 })]) {
        expect(reply).to.include({ response_status: 503, code: 'unavailable' });
        expect(reply.data).to.have.property('retry_after_ms').that.is.within(1_000, 3_000);
      }
    } finally {
      await app.close();
      await orm.close(true);
    }
  });
});

describe('What the database refuses', () => {
  const database = useDatabase('refusals', [Slip]);
  const options = { fields: ['id', 'code', 'behind', 'drawer'] };

  async function execute(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await database.orm.em.fork().execute(statement);
  }

  it('with COMMIT is answered as what it refuses at once: a unique column', async () => {
    await using client = await RowClient.open(database.orm, Slip, options);
    await client.send('create', { data: { code: 'one' } });
    expect(await client.send('create', { data: { code: 'one' } })).to.deep.equal([
      409,
      [{ code: ['An object with this code already exists.'] }],
    ]);
    expect((await client.send('list'))[1]).to.have.length(1);
  });

  it('with COMMIT is answered as what it refuses at once: a row that others refer to', async () => {
    await using client = await RowClient.open(database.orm, Slip, options);
    await client.send('create', { data: { code: 'one' } });
    await client.send('create', { data: { code: 'two', behind: 1 } });
    expect(await client.send('delete', { pk: 1 })).to.deep.equal([
      409,
      ['A row that this one refers to is missing, or other rows still refer to this one.'],
    ]);
  });

  it('with COMMIT is answered as what it refuses at once: a trigger of a constraint', async () => {
    await execute(
      `create function late() returns trigger language plpgsql as 'begin raise exception using errcode = ''40001''; end'`,
      'create constraint trigger late after insert on slip initially deferred for each row execute function late()',
    );
    try {
      await using client = await RowClient.open(database.orm, Slip, options);
      expect(await client.send('create', { data: { code: 'one' } })).to.deep.equal([
        409,
        ['Another request was writing the same rows. Try again.'],
      ]);
    } finally {
      await execute('drop trigger late on slip', 'drop function late');
    }
  });

  it('for an exclusion is a conflict', async () => {
    await execute('alter table slip add constraint apart exclude using gist (int4range(drawer, drawer + 2) with &&)');
    try {
      await using client = await RowClient.open(database.orm, Slip, options);
      await client.send('create', { data: { code: 'one', drawer: 1 } });
      expect(await client.send('create', { data: { code: 'two', drawer: 2 } })).to.deep.equal([
        409,
        ['A value is in conflict with one of another row.'],
      ]);
    } finally {
      await execute('alter table slip drop constraint apart');
    }
  });

  it('for want of a privilege is a 403, and the log says what to grant', async () => {
    await execute(
      `create function guarded() returns trigger language plpgsql as 'begin raise exception using errcode = ''42501''; end'`,
      'create trigger guarded before insert on slip for each row execute function guarded()',
    );
    try {
      await using client = await RowClient.open(database.orm, Slip, options);
      expect(await client.send('create', { data: { code: 'one' } })).to.deep.equal([
        403,
        ['The database does not permit this.'],
      ]);
      expect(client.logger.at('debug').map(({ fields }) => fields['remedy'])).to.include(
        'If clients should be able to do this, GRANT it to the user of the database, or let a policy of row level security pass it.',
      );
    } finally {
      await execute('drop trigger guarded on slip', 'drop function guarded');
    }
  });
});
