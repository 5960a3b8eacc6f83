import { Collection } from '@mikro-orm/core';
import { Entity, ManyToMany, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  Announcer,
  ApiConsumer,
  type App,
  Consumer,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import type { DependencyContainer } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { useServer } from '../support/serving.js';

/** Its policies pass the rows of the team that the transaction says it is of. */
@Entity()
class Member {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) team!: string;
  @Property({ type: 'string', default: 'none' }) rank?: string;
  @ManyToMany(() => Club, 'members') clubs = new Collection<Club>(this);
}

@Entity()
class Club {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToMany(() => Member, 'clubs', { owner: true }) members = new Collection<Member>(this);
}

@Consumer()
class MemberConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onMember, {}, context);
  }
  @ModelObserver(() => Member, { body: ({ team }: Member) => team })
  async onMember(event: ModelEvent<Member, string>, subscription: Subscription) {
    await subscription.send(event);
  }
}

const policies = `
  create role clerk; create role visitor;
  grant select, insert, update, delete on member, club, club_members to clerk, visitor;
  alter table member enable row level security;
  create policy reading on member for select using (team = current_setting('app.team', true));
  create policy creating on member for insert with check (true);
  create policy changing on member for update using (team = current_setting('app.team', true)) with check (true);
  create policy removing on member for delete using (true);
`;

describe('Row-level security', () => {
  const database = useDatabase('row_level_security', [Member, Club]);
  const serve = useServer();
  let app: App;
  let container: DependencyContainer;

  before(async () => {
    await database.orm.em.execute(policies);
  });
  beforeEach(async () => {
    ({ app, container } = serve([path('/', MemberConsumer)], { orm: database.orm }));
    await app.start();
    await database.orm.em.execute(
      'grant usage on schema signalbox to clerk; grant insert, select (id) on signalbox.log to clerk',
    );
    const em = database.orm.em.fork();
    em.create(Member, { id: 1, team: 'red' });
    await em.flush();
  });
  after(() => database.orm.em.execute('drop owned by clerk, visitor; drop role clerk, visitor'));

  async function watching(): Promise<TestConnection> {
    const client = await connect(app, '/');
    await client.request('watch', { request_id: 1 });
    return client;
  }

  /** As an atomic action does it that goes by the policies of its user's role. @returns what the transaction failed with */
  async function asRole(role: string, work: (em: EntityManager) => Promise<unknown>): Promise<string | undefined> {
    const committed = database.orm.em.fork().transactional(async (em) => {
      await em.execute(`set local role ${role}`);
      await em.execute(`set local app.team = 'red'`);
      await work(em);
    });
    return committed.then(
      () => undefined,
      (error: Error) => `${error.name}: ${error.message}`,
    );
  }

  async function hear(client: TestConnection, count: number): Promise<unknown> {
    const events: unknown[] = [];
    while (events.length < count) {
      const { action, data } = await client.receive({ timeout: patience });
      events.push([action, data]);
    }
    return events;
  }

  async function ranks(): Promise<unknown> {
    return database.orm.em.fork().execute('select id, rank from member order by id');
  }

  const hidden =
    'ConfigurationError: createApp.orm: has a transaction that wrote a row of Member, or a link to it, which a policy of row level ' +
    'security may hide from it: its new state cannot be read. Let a policy for SELECT pass what the role may write, or run ' +
    '`reset role` after the last flush of the transaction; where raw SQL or the database deletes the row, call ' +
    "announce(…, 'delete') before.";

  it('lets a role that has the rights tell of the rows that it sees: created, changed and deleted', async () => {
    await using ann = await watching();
    expect(
      await asRole('clerk', async (em) => {
        em.create(Member, { id: 2, team: 'red' });
        await em.flush();
        em.remove(await em.findOneOrFail(Member, 1));
      }),
    ).to.equal(undefined);
    expect(await hear(ann, 2)).to.have.deep.members([
      ['create', 'red'],
      ['delete', { pk: 1 }],
    ]);
  });

  it('refuses the commit of a role without rights on the log, and says which it needs', async () => {
    expect(await asRole('visitor', async (em) => em.create(Member, { id: 2, team: 'red' }))).to.equal(
      'ConfigurationError: createApp.orm: has a transaction whose role may not write its entry of the change log: permission ' +
        'denied for schema signalbox. Grant the role what writing needs, `usage` on the schema signalbox, `insert` and `select (id)` on ' +
        'signalbox.log, and `select` on the tables of observed models; or run `reset role` after the last flush of the transaction.',
    );
    expect(await ranks()).to.deep.equal([{ id: 1, rank: 'none' }]);
  });

  it('refuses the commit of a row that its maker may not see, instead of telling nothing', async () => {
    expect(await asRole('clerk', async (em) => em.create(Member, { id: 2, team: 'blue' }))).to.equal(hidden);
    expect(await ranks()).to.deep.equal([{ id: 1, rank: 'none' }]);
  });

  it('refuses the commit of a row that went out of sight, instead of telling that it was deleted', async () => {
    const refused = await asRole('clerk', async (em) => {
      (await em.findOneOrFail(Member, 1)).rank = 'captain';
      await em.flush();
      await em.execute(`set local app.team = 'blue'`);
    });
    expect(refused).to.equal(hidden);
    expect(await ranks()).to.deep.equal([{ id: 1, rank: 'none' }]);
  });

  it('refuses a link to a row that is hidden, which counts as updated', async () => {
    const em = database.orm.em.fork();
    em.create(Member, { id: 2, team: 'blue' });
    await em.flush();
    const link = (id: number) => (own: EntityManager) =>
      own.transactional(async () => void own.create(Club, { id, members: [own.getReference(Member, id)] }));
    expect(await asRole('clerk', link(2))).to.equal(hidden);
    await using ann = await watching();
    expect(await asRole('clerk', link(1))).to.equal(undefined);
    expect(await hear(ann, 1)).to.deep.equal([['update', 'red']]);
  });

  it('refuses the commit of an announced write whose row is not found, unless it was announced as a delete', async () => {
    const announcer = container.resolve(Announcer);
    await using ann = await watching();
    const remove = (em: EntityManager) => em.nativeDelete(Member, { id: 1 });
    const refused = await asRole('clerk', (em) => announcer.announcing(Member, [1], () => remove(em)));
    expect(refused).to.equal(hidden);
    const failed = await asRole('clerk', async (em) => {
      await announcer.announce(Member, [1], 'delete');
      await remove(em);
    });
    expect(failed).to.equal(undefined);
    expect(await hear(ann, 1)).to.deep.equal([['delete', { pk: 1 }]]);
  });

  it('tells of such a row where the transaction has its own role again before it commits', async () => {
    await using ann = await watching();
    const failed = await asRole('clerk', async (em) => {
      em.create(Member, { id: 2, team: 'blue' });
      await em.flush();
      await em.execute('reset role');
    });
    expect(failed).to.equal(undefined);
    expect(await hear(ann, 1)).to.deep.equal([['create', 'blue']]);
  });
});
