import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  type Delivery,
  type ModelEvent,
  ModelObserver,
  type Permission,
  Permissions,
  path,
  reply,
  Scope,
  type ScopeMiddleware,
  Serializer,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable, Lifecycle, scoped } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

/** Nobody goes on before both are there: whatever is shared is then seen by the wrong one. */
class Meeting {
  #waiting: (() => void)[] = [];

  async reach(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length < 2) return;
      for (const goOn of this.#waiting.splice(0)) goOn();
    });
  }
}

let meeting = new Meeting();
const nameOf = ({ user }: Scope): string => (user as User).username;

@scoped(Lifecycle.ContainerScoped)
class Account {
  readonly notes: string[] = [];

  constructor(readonly scope: Scope) {}

  get name(): string {
    return nameOf(this.scope);
  }
}

@injectable()
class Login implements ScopeMiddleware {
  constructor(
    private readonly em: EntityManager,
    private readonly account: Account,
  ) {}

  async apply(scope: Scope): Promise<void> {
    const username = String(scope.query.get('name'));
    await meeting.reach();
    scope.user = await this.em.findOneOrFail(User, { username });
    scope.identity = { userId: String((scope.user as User).id) };
    await meeting.reach();
    expect(this.account.name).to.equal(username);
  }
}

@injectable()
class KnowsItsOwn implements Permission {
  constructor(
    private readonly scope: Scope,
    private readonly account: Account,
  ) {}

  async canConnect(scope: Scope): Promise<boolean> {
    await meeting.reach();
    return this.knows(scope);
  }

  async hasPermission({ scope }: ActionContext): Promise<boolean> {
    await null;
    return this.knows(scope);
  }

  async canReceive({ scope, data }: Delivery): Promise<boolean> {
    await null;
    return this.knows(scope) && (data as { name: string }).name !== `not for ${this.account.name}`;
  }

  private knows(scope: Scope): boolean {
    return this.scope === scope && this.account.scope === scope && this.account.name === scope.query.get('name');
  }
}

@injectable()
class NotesOfRoom extends Serializer<Room, { readonly notes: string; readonly viewer: string }> {
  constructor(private readonly account: Account) {
    super();
  }

  async toData({ name }: Room) {
    await null;
    return { notes: `${name}: ${this.account.notes.join(' ')}`, viewer: this.account.name };
  }
}

@Permissions(KnowsItsOwn)
@Consumer()
class NoteConsumer extends ApiConsumer {
  #calls = 0;

  constructor(
    private readonly account: Account,
    private readonly em: EntityManager,
  ) {
    super();
  }

  @Action()
  async note({ kwargs }: ActionContext) {
    this.account.notes.push(String(kwargs['text']));
    await meeting.reach();
    return reply(await this.em.findOneOrFail(Room, { name: 'lobby' }), { serializer: NotesOfRoom });
  }

  @Action()
  async call({ scope }: ActionContext) {
    this.#calls += 1;
    await meeting.reach();
    return { calls: this.#calls, user: nameOf(scope), own: nameOf(this.scope), account: this.account.name };
  }

  /** Changes a row that both have loaded, and does not write it. */
  @Action()
  async scribble({ scope }: ActionContext) {
    const room = await this.em.findOneOrFail(Room, { name: 'lobby' });
    await meeting.reach();
    room.name = `lobby of ${nameOf(scope)}`;
    await meeting.reach();
    const again = await this.em.findOneOrFail(Room, { id: room.id });
    const seen = { name: again.name, isSame: again === room };
    this.em.clear();
    return seen;
  }

  /** In a transaction of its own; one of the two rolls back. */
  @Action({ atomic: true })
  async rename({ scope }: ActionContext) {
    const room = await this.em.findOneOrFail(Room, { name: `of ${nameOf(scope)}` });
    await meeting.reach();
    room.name = `renamed by ${nameOf(scope)}`;
    await this.em.flush();
    await meeting.reach();
    const seen = await this.em.fork({ keepTransactionContext: true, clear: true }).find(Room, {});
    await meeting.reach();
    if (nameOf(scope) === 'bob') throw new Error('Bob thinks better of it.');
    return seen.map(({ name }) => name).sort();
  }

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await meeting.reach();
    await this.subscribe(this.onRoom, {}, context);
  }

  @ModelObserver(() => Room, { body: ({ name }: Room) => ({ name }) })
  async onRoom(event: ModelEvent<Room, { name: string }>, subscription: Subscription) {
    await null;
    const { name } = event.data as { name: string };
    await subscription.send({ action: event.action, data: { name, to: this.account.name } });
  }
}

describe('Two users at the same time', () => {
  const database = useDatabase('two_users');
  let app: App;
  let ann: TestConnection;
  let bob: TestConnection;

  beforeEach(async () => {
    meeting = new Meeting();
    const em = database.orm.em.fork();
    for (const username of ['ann', 'bob']) em.create(User, { username, password: 'x' });
    for (const name of ['lobby', 'of ann', 'of bob']) em.create(Room, { name });
    await em.flush();
    const { container } = testProviders();
    app = createApp({ orm: database.orm, container, routes: [path('/', NoteConsumer)], middleware: [Login] });
    [ann, bob] = await Promise.all([connect(app, '/?name=ann'), connect(app, '/?name=bob')]);
  });
  afterEach(async () => {
    meeting = new Meeting();
    await app.close();
  });

  const both = async (action: string, [forAnn, forBob]: Record<string, string>[] = []) => {
    const replies = await Promise.all([ann.request(action, forAnn), bob.request(action, forBob)]);
    return replies.map(({ data }) => data);
  };

  it('have a consumer, a scope and scoped providers of their own', async () => {
    await both('call');
    expect(await both('call')).to.deep.equal([
      { calls: 2, user: 'ann', own: 'ann', account: 'ann' },
      { calls: 2, user: 'bob', own: 'bob', account: 'bob' },
    ]);
  });

  it('are shown what is theirs by serializers that are injected', async () => {
    await both('note', [{ text: 'a' }, { text: 'b' }]);
    expect(await both('note', [{ text: 'A' }, { text: 'B' }])).to.deep.equal([
      { notes: 'lobby: a A', viewer: 'ann' },
      { notes: 'lobby: b B', viewer: 'bob' },
    ]);
  });

  it('see their own entities, though they loaded the same row', async () => {
    expect(await both('scribble')).to.deep.equal([
      { name: 'lobby of ann', isSame: true },
      { name: 'lobby of bob', isSame: true },
    ]);
    expect((await database.orm.em.fork().findOneOrFail(Room, { name: 'lobby' })).name).to.equal('lobby');
  });

  it('write in transactions of their own, of which one may roll back', async () => {
    const [forAnn, forBob] = await both('rename');
    expect(forAnn).to.deep.equal(['lobby', 'of bob', 'renamed by ann']);
    expect(forBob).to.equal(null);
    const rooms = await database.orm.em.fork().find(Room, {}, { orderBy: { name: 'asc' } });
    expect(rooms.map(({ name }) => name)).to.deep.equal(['lobby', 'of bob', 'renamed by ann']);
  });

  it('are told what they may hear, by permissions of their own', async () => {
    await both('follow');
    const em = database.orm.em.fork();
    for (const name of ['for both', 'not for ann', 'not for bob']) em.create(Room, { name });
    await em.flush();
    const heard = async (connection: TestConnection) => {
      const frames = [await connection.receive(), await connection.receive()];
      await connection.expectSilence();
      return frames.map(({ data }) => data);
    };
    expect(await heard(ann)).to.deep.equal([
      { name: 'for both', to: 'ann' },
      { name: 'not for bob', to: 'ann' },
    ]);
    expect(await heard(bob)).to.deep.equal([
      { name: 'for both', to: 'bob' },
      { name: 'not for ann', to: 'bob' },
    ]);
  });
});
