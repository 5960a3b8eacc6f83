import { EntityManager } from '@mikro-orm/core';
import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import pg from 'pg';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  createApp,
  Logger,
  path,
} from 'signalbox';
import { connect, MemoryLogger, type TestConnection } from 'signalbox/testing';
import { container } from 'tsyringe';
import { connectOrm } from '../support/database.js';
import { patience, until, within } from '../support/deadline.js';
import { Author } from '../support/library.js';
import { createDatabase, type PostgresServer, startPostgres } from '../support/postgres.js';
import { type TestProviders, testProviders } from '../support/providers.js';

/** Actions wait for one another inside their transactions: where one of them gets no connection, none of them goes on. */
class Meeting {
  readonly #all = Promise.withResolvers<void>();
  #absent: number;

  constructor(members: number) {
    this.#absent = members;
  }

  join(): Promise<void> {
    this.#absent -= 1;
    if (this.#absent === 0) this.#all.resolve();
    return this.#all.promise;
  }
}

/** As much of a connection of Kysely as is needed. */
interface Reserved {
  executeQuery(query: { readonly sql: string; readonly parameters: readonly unknown[] }): Promise<unknown>;
}

const max = 2;
let meeting: Meeting;
/** A connection of its own. */
let outsider: pg.Client;
/** What the second database, or the only one, is changed by. */
let otherEm: EntityManager;

const processId = async (em: EntityManager): Promise<number> => {
  const [row] = await execute(em, 'select pg_backend_pid() as id');
  return Number(row?.['id']);
};

function execute(em: EntityManager, sql: string): Promise<Record<string, unknown>[]> {
  return (em as MikroORM['em']).execute(sql);
}

/** Sessions of whose end the driver has heard. */
const endedSessions = new Set<number>();
const watched = new WeakSet<pg.PoolClient>();

function hearOfEnd(client: pg.PoolClient): void {
  if (watched.has(client)) return;
  watched.add(client);
  client.once('end', () => endedSessions.add('processID' in client ? Number(client.processID) : Number.NaN));
}

/** Waits for the end of a session, and until the driver has heard of it: COMMIT would be sent otherwise, and not answered. */
async function ended(pid: number): Promise<void> {
  await until(() => endedSessions.has(pid), 'the end of the session');
}

@Consumer()
class AuthorConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 }) add({ kwargs }: ActionContext) {
    this.em.create(Author, { name: String(kwargs['name'] ?? 'anonymous') });
  }

  @Action({ detached: true }) async meet() {
    await this.em.transactional(async (em) => {
      await execute(em, 'select 1');
      await meeting.join();
    });
  }

  @Action({ atomic: true }) async diesInStatement(context: ActionContext) {
    this.add(context);
    await this.em.flush();
    await execute(this.em, 'select pg_terminate_backend(pg_backend_pid())');
  }

  @Action({ atomic: true }) async diesBetweenStatements(context: ActionContext) {
    this.add(context);
    await this.em.flush();
    const pid = await processId(this.em);
    await outsider.query('select pg_terminate_backend($1)', [pid]);
    await ended(pid);
  }

  /** A deferred trigger ends the session while it commits. */
  @Action({ atomic: true }) async diesInCommit() {
    this.em.create(Author, { name: 'deadly' });
  }

  @Action() async diesInFlush() {
    this.em.create(Author, { name: 'deadly' });
    await this.em.flush();
  }

  /** The setting is that of this transaction: on a busy machine sound ones are idle for some time as well. */
  @Action({ atomic: true }) async staysIdle(context: ActionContext) {
    this.add(context);
    await this.em.flush();
    const pid = await processId(this.em);
    await execute(this.em, 'set local idle_in_transaction_session_timeout = 50');
    await ended(pid);
  }

  @Action({ atomic: true }) async diesElsewhere() {
    await otherEm.fork().transactional((em) => execute(em, 'select pg_terminate_backend(pg_backend_pid())'));
  }

  @Action({ atomic: true }) async takesLong() {
    await execute(this.em, 'select pg_sleep(30)');
  }

  @Action({ atomic: true }) async fails() {
    throw new Error('no');
  }
}

function poolOf(orm: MikroORM): Promise<pg.Pool> {
  return orm.em.getConnection().getNativeClient();
}

const deadly = `
  create function die() returns trigger language plpgsql as $$
    begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(10); return null; end $$;
  create constraint trigger deadly after insert on author deferrable initially deferred
    for each row when (new.name = 'deadly') execute function die()`;

async function open(clientUrl: string, options: Options = {}): Promise<MikroORM> {
  // Its logger tells of each connection that breaks.
  return connectOrm(clientUrl, { entities: [Author], pool: { max }, logger: () => {}, ...options });
}

describe('The pool of connections', () => {
  let url: string;
  let orm: MikroORM;
  let app: App;
  let client: TestConnection;
  let providers: TestProviders;

  before(async function () {
    this.timeout(30_000);
    url = await createDatabase('connection_pool');
    const first = await open(url);
    await first.schema.create();
    await first.em.execute(deadly);
    await first.close();
    outsider = new pg.Client(url);
    await outsider.connect();
  });
  after(() => outsider?.end());
  beforeEach(() => outsider.query('truncate author'));
  afterEach(async () => {
    await app?.close();
    await orm?.close(true);
  });

  async function start(options: Options = {}): Promise<void> {
    orm = await open(url, options);
    otherEm = orm.em;
    endedSessions.clear();
    (await poolOf(orm)).on('acquire', hearOfEnd);
    await serve();
  }

  async function serve(more: { readonly otherOrms?: readonly MikroORM[] } = {}): Promise<void> {
    providers = testProviders();
    const settings = { poolTimeLimit: 50, actionTimeLimit: 1_000_000 };
    app = createApp({ orm, routes: [path('/', AuthorConsumer)], container: providers.container, settings, ...more });
    client = await connect(app, '/');
  }

  /** Asks twice as often as there are connections, unless it is said otherwise. */
  async function repeat(action: string, times = 2 * max): Promise<unknown> {
    const told = new Set<string>();
    for (let time = 0; time < times; time += 1) {
      const { response_status: status, code, errors } = await client.request(action);
      told.add(`${status} ${code} ${errors.join()}`);
    }
    return [...told];
  }

  async function expectAllConnections(): Promise<void> {
    meeting = new Meeting(max);
    const replies = await Promise.all(Array.from({ length: max }, () => client.request('meet')));
    expect(replies.map(({ response_status: status }) => status)).to.deep.equal(Array(max).fill(200));
  }

  async function stored(): Promise<unknown> {
    return (await outsider.query('select count(*)::int as authors from author')).rows[0].authors;
  }

  async function openTransactions(): Promise<unknown> {
    const sql = `select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`;
    return (await outsider.query(sql)).rows;
  }

  const unavailable = '503 unavailable The connection to the database failed. Try again later.';
  const inDoubt =
    '503 outcome_unknown The connection to the database was lost during the commit. The request may have taken effect.';

  for (const { title, action, told } of [
    { title: 'during a statement', action: 'dies_in_statement', told: unavailable },
    { title: 'between two statements', action: 'dies_between_statements', told: unavailable },
    { title: 'at the commit', action: 'dies_in_commit', told: inDoubt },
    { title: 'at the commit of a flush', action: 'dies_in_flush', told: inDoubt },
    { title: "in a transaction of the application's own", action: 'dies_elsewhere', told: unavailable },
  ]) {
    it(`loses none of them to servers that end sessions ${title}`, async () => {
      await start();
      expect(await repeat(action)).to.deep.equal([told]);
      await expectAllConnections();
      expect(await stored()).to.equal(0);
    });
  }

  it('loses none of them to transactions that no code ends, once their sessions have ended', async () => {
    await start();
    for (let time = 0; time < 2 * max; time += 1) {
      const em = orm.em.fork();
      await em.begin();
      await outsider.query('select pg_terminate_backend($1)', [await processId(em)]);
    }
    await expectAllConnections();
  });

  it('loses none of them to idle_in_transaction_session_timeout', async () => {
    await start({ pool: { max: 1 } });
    expect(await repeat('stays_idle', 2)).to.deep.equal([unavailable]);
    expect(await client.request('add')).to.include({ response_status: 201 });
    expect(await stored()).to.equal(1);
  });

  for (const { title, isThrown } of [
    { title: 'a session that ends before BEGIN', isThrown: false },
    { title: 'a hook of the driver that fails', isThrown: true },
  ]) {
    it(`loses none of them to ${title}`, async () => {
      let isDeadly = false;
      await start({
        onReserveConnection: async (connection) => {
          if (!isDeadly) return;
          const died = (connection as Reserved).executeQuery({
            sql: 'select pg_terminate_backend(pg_backend_pid())',
            parameters: [],
          });
          if (isThrown) throw new Error('no');
          await died.catch(() => {});
        },
      });
      await expectAllConnections();
      isDeadly = true;
      const [told] = (await repeat('add')) as string[];
      expect(told).to.match(isThrown ? /^500 server_error/ : /^503 unavailable/);
      isDeadly = false;
      await expectAllConnections();
    });
  }

  for (const event of ['afterTransactionStart', 'beforeTransactionRollback'] as const) {
    it(`loses none of them to a subscriber that fails ${event === 'afterTransactionStart' ? 'after BEGIN' : 'before ROLLBACK'}`, async () => {
      let isFailing = true;
      await start();
      orm.em.getEventManager().registerSubscriber({
        [event]: () => {
          if (isFailing) throw new Error('no');
        },
      });
      await repeat('fails');
      isFailing = false;
      await expectAllConnections();
      expect(await openTransactions()).to.deep.equal([]);
    });
  }

  it('loses none of them to statements that the driver does not wait for', async () => {
    await start({ pool: { max: 1 }, driverOptions: { query_timeout: 300 } });
    expect(await repeat('takes_long', 2)).to.deep.equal(['504 time_limit_exceeded The database took too long.']);
    // On a busy machine a sound statement may take as long.
    await until(async () => (await client.request('add')).response_status === 201, 'A statement in time');
  });

  it('loses none of them to actions that are aborted while they wait for one', async () => {
    await start();
    const busy = Array.from({ length: max }, () => orm.em.fork());
    await Promise.all(busy.map((em) => em.begin()));
    const waiting = client.request('add');
    const pool = await poolOf(orm);
    while (pool.waitingCount === 0) await outsider.query('select 1');
    providers.clock.advance(1_000_000);
    expect(await waiting).to.include({ response_status: 504 });
    await Promise.all(busy.map((em) => em.rollback()));
    await expectAllConnections();
  });

  it('survives the end of sessions that do nothing', async () => {
    await start();
    await expectAllConnections();
    const pool = await poolOf(orm);
    // The reader of the change log may have one for a moment.
    await until(() => pool.idleCount === max, 'The end of what is under way');
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'signalbox'`;
    await outsider.query(sql);
    while (pool.totalCount > 0) await outsider.query('select 1');
    await expectAllConnections();
  });

  it('is kept for other databases too', async () => {
    orm = await open(url);
    const other = await open(url, { contextName: 'other' });
    otherEm = other.em;
    await serve({ otherOrms: [other] });
    expect(await repeat('dies_elsewhere')).to.deep.equal([unavailable]);
    const all = Array.from({ length: max }, () => other.em.fork());
    await within(Promise.all(all.map((em) => em.begin())), 'All connections of the other database');
    await Promise.all(all.map((em) => em.rollback()));
    await app.close();
    await other.close(true);
  });

  it('is kept while one of several applications is there, and is left as it was after the last', async () => {
    await start();
    const second = createApp({ orm, routes: [path('/', AuthorConsumer)], container: testProviders().container });
    await second.close();
    expect(await repeat('dies_in_statement')).to.deep.equal([unavailable]);
    await expectAllConnections();
    await app.close();
    const connection = orm.em.getConnection();
    const pool = await connection.getNativeClient();
    expect(
      [connection, pool].map((each) => ['begin', 'rollback', 'connect'].filter((name) => Object.hasOwn(each, name))),
    ).to.deep.equal([[], []]);
  });

  it('answers a commit that the database refuses like a statement that it refuses', async () => {
    await start();
    await orm.em.execute('alter table author add constraint one_name unique (name) deferrable initially deferred');
    try {
      await client.request('add');
      expect(await client.request('add')).to.deep.include({
        response_status: 409,
        errors: [{ name: ['An object with this name already exists.'] }],
      });
    } finally {
      await orm.em.execute('alter table author drop constraint one_name');
    }
    await expectAllConnections();
  });

  it('cannot be hidden in a Kysely or a dialect', async () => {
    orm = await open(url);
    const told =
      'createApp.orm: has a Kysely or a dialect of its own in `driverOptions`, whose connections cannot be watched: each connection that the server ends in a transaction would be lost to the pool. Give MikroORM the options of the pool instead: driverOptions: { max: 10, … }.';
    const kysely = orm.em.getKysely();
    const dialect = { createDriver() {}, createQueryCompiler() {}, createAdapter() {}, createIntrospector() {} };
    for (const driverOptions of [kysely, dialect]) {
      const hidden = await open(url, { driverOptions: driverOptions as never });
      expect(() => createApp({ orm: hidden, routes: [path('/', AuthorConsumer)] }))
        .to.throw(ConfigurationError)
        .with.property('message', told);
    }
    const late = await open(url, { driverOptions: () => kysely });
    app = createApp({ orm: late, routes: [path('/', AuthorConsumer)], container: testProviders().container });
    await app.start();
    const begun = await late.em
      .fork()
      .begin()
      .then(
        () => undefined,
        (error: Error) => error.message,
      );
    expect(begun).to.equal(told);
  });

  describe('that is used up', () => {
    let port: number;

    /** Asks `/livez` until it has this status. */
    async function expectLiveness(status: number): Promise<void> {
      const asked = (async () => {
        for (;;) {
          providers.clock.advance(1_000);
          const response = await fetch(`http://127.0.0.1:${port}/livez`);
          const { isLive } = (await response.json()) as { isLive: boolean };
          expect(isLive).to.equal(response.status === 200);
          if (response.status === status) return;
        }
      })();
      await within(asked, `A ${status} of /livez`);
    }

    it('ends the process by /livez, unless the database works for it or a connection is given back', async () => {
      await start();
      ({ port } = await app.listen({ host: '127.0.0.1' }));
      await expectLiveness(200);
      const [one, two] = [orm.em.fork(), orm.em.fork()];
      await Promise.all([one.begin(), two.begin()]);
      const waiting = client.request('add', {}, { timeout: patience });
      await expectLiveness(503);
      expect(await app.liveness()).to.equal(false);
      expect(providers.logger.at('error')[0]).to.deep.include({
        message: 'The connections of the database pool are not given back: restart this process.',
        fields: { poolTimeLimit: 50 },
      });
      const pid = await processId(one);
      const working = one.execute('select pg_sleep(30)').catch(() => {});
      await expectLiveness(200);
      await outsider.query('select pg_cancel_backend($1)', [pid]);
      await working;
      await expectLiveness(503);
      await one.rollback();
      expect(await waiting).to.include({ response_status: 201 });
      await expectLiveness(200);
      await two.rollback();
    });
  });
});

describe('A database that is restarted under load', () => {
  let server: PostgresServer;
  let orm: MikroORM;
  let app: App;

  before(async function () {
    this.timeout(30_000);
    server = await startPostgres();
    orm = await open(await server.createDatabase('restarted'), {
      pool: { max: 10 },
      driverOptions: { options: '-c synchronous_commit=on' },
    });
    await orm.schema.create();
  });
  after(async () => {
    await app?.close();
    await orm?.close(true);
    await server?.stop();
  });

  it('is asked again by every client, and answers all of them', async function () {
    this.timeout(120_000);
    // By the real clock, for that of specs would have to pass the time limits of actions.
    const child = container.createChildContainer();
    child.registerInstance(Logger, new MemoryLogger());
    // Writers that ask again at once would be throttled while the database is away.
    const limits = { messagesPerSecond: 1_000_000, messageBurst: 1_000_000 };
    app = createApp({ orm, routes: [path('/', AuthorConsumer)], container: child, settings: { limits } });
    const { port } = await app.listen({ host: '127.0.0.1' });
    const told = new Map<string, string>();
    const retries = new Set<unknown>();
    let isOver = false;
    let stored = 0;

    const writers = Array.from({ length: 12 }, async (_, writer) => {
      const client = await connect(app, '/');
      for (let time = 0; !isOver; time += 1) {
        const name = `${writer}-${time}`;
        const {
          response_status: status,
          code = '',
          data,
        } = await client.request('add', { name }, { timeout: patience });
        told.set(name, `${status} ${code}`.trim());
        if (code === 'unavailable') retries.add(Object.keys(Object(data)).join());
        if (status === 201) stored += 1;
      }
    });
    const health = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    const readiness = async (status: number): Promise<void> => {
      while ((await health('/readyz')) !== status) expect(await health('/livez')).to.equal(200);
    };
    const progress = async (): Promise<void> => {
      const aim = stored + 100;
      while (stored < aim) expect(await health('/livez')).to.equal(200);
    };

    await within(progress(), 'The first hundred');
    for (const mode of ['fast', 'immediate'] as const) {
      await server.halt(mode);
      await within(readiness(503), 'A 503 of /readyz');
      await server.resume();
      await within(readiness(200), 'A 200 of /readyz');
      await within(progress(), `A hundred after a restart that was ${mode}`);
    }
    isOver = true;
    await within(Promise.all(writers), 'The end of the writers');

    const answers = [...new Set(told.values())].filter((answer) => answer !== '503 outcome_unknown');
    expect(answers.sort()).to.deep.equal(['201', '503 unavailable']);
    expect([...retries]).to.deep.equal(['retry_after_ms']);
    const rows = await orm.em.fork().find(Author, {});
    const names = new Set(rows.map(({ name }) => name));
    const wrong = [...told].filter(
      ([name, answer]) => answer !== '503 outcome_unknown' && names.has(name) !== (answer === '201'),
    );
    expect(wrong).to.deep.equal([]);
    meeting = new Meeting(10);
    const client = await connect(app, '/');
    const replies = await Promise.all(Array.from({ length: 10 }, () => client.request('meet')));
    expect(replies.map(({ response_status: status }) => status)).to.deep.equal(Array(10).fill(200));
  });
});
