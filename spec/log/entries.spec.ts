import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  type ModelEvent,
  ModelObserver,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { ChangeLog } from '#signalbox/log/change-log.js';
import { silentApplication } from '../support/changes.js';
import { useDatabase } from '../support/database.js';
import { useServer } from '../support/serving.js';
import { Team, trackerModels } from '../support/tracker.js';

const greeted = new Signal<string>();
const shown = ({ id, name }: Team) => ({ id, name });

@Consumer()
class TeamConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onTeam, {}, context);
    await this.subscribe(this.onGreeted, {}, context);
  }
  @Observer(greeted, { name: 'greeted' })
  async onGreeted(event: SignalEvent<string>, subscription: Subscription) {
    await subscription.send(event);
  }
  @ModelObserver(() => Team, { body: shown })
  async onTeam(event: ModelEvent<Team, ReturnType<typeof shown>>, subscription: Subscription) {
    await subscription.send(event);
  }
}

describe('An entry of the change log', () => {
  const database = useDatabase('log_entries', trackerModels);
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;
  let ann: TestConnection;

  beforeEach(async () => {
    ({ app, logger } = serve([path('/', TeamConsumer)], { orm: database.orm }));
    ann = await connect(app, '/');
    await ann.request('watch', { request_id: 1 });
  });

  async function write(team: { id: number; name: string; secret?: string; history?: string }): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Team, team);
    await em.flush();
  }

  /** As if another process had written it. */
  function append(entry: object | string): Promise<unknown> {
    const text = typeof entry === 'string' ? entry : JSON.stringify({ v: 1, process: 'another', ...entry });
    return database.orm.em.fork().execute('insert into signalbox.log (entries) values (?)', [text]);
  }

  async function told(): Promise<readonly unknown[]> {
    await app.idle();
    return ann.frames
      .splice(0)
      .filter(({ response_status }) => response_status !== 201)
      .map(({ action, data }) => [action, data]);
  }

  it('of an entity that this process does not have is left out, without the rows beside it', async () => {
    await write({ id: 1, name: 'north' });
    const [entry] = await database.orm.em
      .fork()
      .execute<{ entries: string }[]>('select entries from signalbox.log order by id desc limit 1');
    const { rows, after } = JSON.parse(entry?.entries ?? '') as { rows: { list: number }[]; after: unknown[] };
    const alien = { class: 'Alien', key: [7], shape: 'none', list: 0, isNew: true };
    const own = rows.map((row) => ({ ...row, list: row.list + 1 }));
    await append({ rows: [alien, ...own], after: [['(7)'], ...after] });
    await append({ rows: [alien], after: [['(7)']] });
    expect(await told()).to.deep.equal([
      ['create', { id: 1, name: 'north' }],
      ['create', { id: 1, name: 'north' }],
    ]);
    await write({ id: 2, name: 'south' });
    expect(await told()).to.deep.equal([['create', { id: 2, name: 'south' }]]);
    expect(logger.at('error')).to.deep.equal([]);
  });

  it('that cannot be read is left out and logged, and those behind it are told', async () => {
    await append('no JSON');
    await append({ rows: 5, after: [] });
    await write({ id: 1, name: 'north' });
    expect(await told()).to.deep.equal([['create', { id: 1, name: 'north' }]]);
    expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
      'An entry of the change log could not be read.',
      'An entry of the change log could not be read.',
    ]);
  });

  it('with a signal that cannot be read is told without it, which is logged, and those behind it are told', async () => {
    await database.orm.em.fork().transactional(() => greeted.send('hello'));
    expect(await told()).to.deep.equal([['greeted', 'hello']]);
    const [sent] = await database.orm.em
      .fork()
      .execute<{ entries: string }[]>('select entries from signalbox.log order by id desc limit 1');
    const { signals } = JSON.parse(sent?.entries ?? '') as { signals: { payload: string }[] };
    const unreadable = signals.map((signal) => ({ ...signal, payload: 'no JSON' }));
    await append({ rows: [], after: [], signals: [...unreadable, ...signals] });
    await write({ id: 1, name: 'north' });
    expect(await told()).to.deep.equal([
      ['greeted', 'hello'],
      ['create', { id: 1, name: 'north' }],
    ]);
    expect(logger.at('error').map(({ message }) => message)).to.deep.equal(['A signal could not be read.']);
  });

  it('that one application fails on is missed by that one, which is logged, and told by the others', async () => {
    const missed: string[] = [];
    const numbers: number[] = [];
    const detach = ChangeLog.of(database.orm).attach({
      ...silentApplication,
      logger,
      receive: (commits) => {
        numbers.push(commits.length);
        if (numbers.length === 1) throw new Error('failed');
      },
      missed: (reason) => missed.push(reason),
    });
    await write({ id: 1, name: 'north' });
    expect(await told()).to.deep.equal([['create', { id: 1, name: 'north' }]]);
    await write({ id: 2, name: 'south' });
    expect(await told()).to.deep.equal([['create', { id: 2, name: 'south' }]]);
    await detach();
    expect(missed).to.deep.equal(['An application failed on commits of the change log.']);
    expect(numbers).to.deep.equal([1, 1]);
    expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
      'An application failed on commits of the change log.',
    ]);
  });

  it('of a process whose entity has other columns shows the row as it is now', async () => {
    await write({ id: 1, name: 'north' });
    await told();
    const row = { class: 'Team', key: [1], shape: 'of another version' };
    await append({ rows: [{ ...row, list: 0, before: '(x,1,y)' }], after: [['(y,1,z)']] });
    expect(await told()).to.deep.equal([['update', { id: 1, name: 'north' }]]);
    expect(logger.at('error')).to.deep.equal([]);
  });

  it('has no hidden and no lazy column that no observer reads', async () => {
    await write({ id: 1, name: 'north', secret: 'of the team', history: 'a long one' });
    expect(await told()).to.deep.equal([['create', { id: 1, name: 'north' }]]);
    const log = await database.orm.em.fork().execute<{ entries: string }[]>('select entries from signalbox.log');
    const text = log.map(({ entries }) => entries).join('\n');
    expect(text).to.contain('north');
    expect(text).to.not.contain('of the team');
    expect(text).to.not.contain('a long one');
  });
});
