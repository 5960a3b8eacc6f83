import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsIn } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  afterCommit,
  Consumer,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Slip } from '../support/deferred.js';
import { embeddedDatabase } from '../support/embedded-database.js';
import { useServer } from '../support/serving.js';

const ways = [
  'commit',
  'rollback',
  'swallow',
  'swallow-untold',
  'swallow-slowly',
  'swallow-savepoint',
  'duplicate',
] as const;

class Way {
  @IsIn(ways) way!: (typeof ways)[number];
}

const ran: string[] = [];

@Consumer()
class SlipConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onSlip, {}, context);
  }
  @ModelObserver(() => Slip)
  async onSlip(event: ModelEvent<Slip, { pk: number }>, subscription: Subscription) {
    await subscription.send(event);
  }

  @Action({ atomic: true })
  async write({ way }: Way) {
    const em = this.em.getContext();
    const sql = (text: string) => em.getConnection().execute(text, [], 'run', em.getTransactionContext());
    await em.nativeUpdate(Slip, { id: 1 }, { code: 'native' });
    if (way === 'swallow-slowly') return void (await sql(failingSlowly).catch(() => {}));
    // Without an entry, no statement of the framework comes behind the failed one.
    if (way === 'swallow-untold') return void (await sql('select 1 / 0').catch(() => {}));
    em.create(Slip, { id: 3, code: way === 'duplicate' ? 'two' : 'three' });
    await em.flush();
    if (way === 'rollback') await sql('rollback');
    if (way === 'swallow') await sql('select 1 / 0').catch(() => {});
    if (way === 'swallow-savepoint') await em.transactional(() => sql('select 1 / 0')).catch(() => {});
  }

  @Action()
  async waitForCommit() {
    const { em } = this;
    afterCommit(() => ran.push('outside'));
    await em.transactional(async (inner) => {
      afterCommit(() => ran.push('outer'));
      await inner.transactional(async () => afterCommit(() => ran.push('released')));
      await inner
        .transactional(async () => {
          afterCommit(() => ran.push('rolled back'));
          throw new Error('no');
        })
        .catch(() => {});
      afterCommit(() => {
        throw new Error('The mail server is away.');
      });
      afterCommit(async () => ran.push('last'));
      expect(ran).to.deep.equal(['outside']);
    });
    await em
      .transactional(async () => {
        afterCommit(() => ran.push('never'));
        throw new Error('no');
      })
      .catch(() => {});
  }
}

/** The server says at once that the statement failed, and later that it is ready again: so many tables have to be taken back. */
const failingSlowly = `do $$ begin
  for i in 1..300 loop execute 'create table waste_' || i || ' (id int)'; end loop;
  perform 1 / 0;
end $$`;

for (const { name, open } of [
  { name: 'PostgreSQL', open: () => useDatabase('commit_outcomes', [Slip]) },
  { name: 'PGlite', open: () => embeddedDatabase([Slip]) },
]) {
  describe(`A commit on ${name}`, () => {
    const database = open();
    const serve = useServer();
    let app: App;
    let logger: MemoryLogger;
    let ann: TestConnection;

    beforeEach(async () => {
      ran.splice(0);
      for (const sql of ['delete from slip', `insert into slip (id, code) values (1, 'one'), (2, 'two')`])
        await database.orm.em.getConnection().execute(sql);
      ({ app, logger } = serve([path('/', SlipConsumer)], { orm: database.orm }));
      ann = await connect(app, '/');
      await ann.request('watch', { request_id: 1 });
    });

    async function stored(): Promise<readonly string[]> {
      const rows = await database.orm.em.fork().find(Slip, {}, { orderBy: { id: 'asc' } });
      return rows.map(({ code }) => code);
    }

    it('answers and tells what was stored', async () => {
      expect(await ann.request('write', { way: 'commit', request_id: 2 })).to.include({ response_status: 200 });
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { pk: 3 } });
      expect(await stored()).to.deep.equal(['native', 'two', 'three']);
    });

    for (const { way, title, message } of [
      {
        way: 'rollback',
        title: 'that raw SQL rolled back',
        message: 'The transaction was ended by raw SQL before its end: COMMIT and ROLLBACK belong to MikroORM.',
      },
      {
        way: 'swallow',
        title: 'in which a statement failed whose error the action swallowed',
        message:
          'PostgreSQL has rolled the transaction back: a statement in it failed, and the code that caught the error went on.',
      },
      {
        way: 'swallow-untold',
        title: 'in which a statement failed whose error the action swallowed, and which no client would be told of',
        message:
          'PostgreSQL has rolled the transaction back: a statement in it failed, and the code that caught the error went on.',
      },
      {
        way: 'swallow-slowly',
        title: 'in which a statement failed whose error the action swallowed before the server was ready again',
        message:
          'PostgreSQL has rolled the transaction back: a statement in it failed, and the code that caught the error went on.',
      },
    ]) {
      it(`is answered 500, told to no client and named in the log, ${title}`, async () => {
        expect(await ann.request('write', { way, request_id: 2 })).to.include({ response_status: 500 });
        await app.idle();
        await ann.expectSilence();
        expect(await stored()).to.deep.equal(['one', 'two']);
        expect(logger.at('error').map(({ fields }) => (fields['error'] as Error).message)).to.deep.equal([message]);
      });
    }

    it('is what it seems where the failed statement was in a savepoint', async () => {
      expect(await ann.request('write', { way: 'swallow-savepoint', request_id: 2 })).to.include({
        response_status: 200,
      });
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { pk: 3 } });
      expect(await stored()).to.deep.equal(['native', 'two', 'three']);
    });

    it('is answered 409 and told to no client where a deferred constraint refuses it', async () => {
      expect(await ann.request('write', { way: 'duplicate', request_id: 2 })).to.include({ response_status: 409 });
      await app.idle();
      await ann.expectSilence();
      expect(await stored()).to.deep.equal(['one', 'two']);
    });

    it('runs what waits for it once the outermost transaction has committed, and logs what that throws', async () => {
      expect(await ann.request('wait_for_commit', { request_id: 2 })).to.include({ response_status: 200 });
      expect(ran).to.deep.equal(['outside', 'outer', 'released', 'last']);
      expect(logger.at('error').map(({ message, fields }) => [message, String(fields['error'])])).to.deep.equal([
        ['Work that waited for a commit failed.', 'Error: The mail server is away.'],
      ]);
    });
  });
}
