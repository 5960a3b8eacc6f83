import { EntityManager, wrap } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  GroupsForConsumer,
  GroupsForSignal,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Observer,
  type Permission,
  Permissions,
  path,
  RevokedBy,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Message, User } from '../support/entities.js';
import { losingSessions } from '../support/lost-sessions.js';
import { MessageSerializer, UserSerializer } from '../support/rooms.js';
import { type Served, useServer } from '../support/serving.js';

let allUsers: () => Promise<User[]>;

const said = new Signal<{ readonly text: string }>('said');

@injectable()
class NestedSerializer extends ModelSerializer(Message, {
  fields: ['id', 'text', 'user'],
  nested: { user: UserSerializer },
}) {}

/** Asks the database. */
@injectable()
class HasUsers implements Permission {
  constructor(private readonly em: EntityManager) {}
  async hasPermission() {
    return (await this.em.count(User)) > 0;
  }
}

@Consumer()
class PlainConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class NestedConsumer extends mix(ModelConsumer(Message, { serializer: NestedSerializer }), ObserveInstance) {
  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }
  @ModelObserver(() => Message, { serializer: NestedSerializer })
  async onMessage(event: ModelEvent<NestedSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class GroupsConsumer extends PlainConsumer {
  @GroupsForSignal('onMessage') protected async *groupsOfMessage({ user }: Message) {
    if (user) yield `by-${(await wrap(user).init())?.username}`;
  }
  @GroupsForConsumer('onMessage') protected *groupsOfUser() {
    yield 'by-ann';
  }
}

@Consumer()
@Permissions(HasUsers)
class GuardedConsumer extends PlainConsumer {}

@Consumer()
@Permissions(HasUsers)
class RevocableConsumer extends PlainConsumer {
  @RevokedBy('onMessage', () => Message) protected async *revokedByMessage({ user }: Message) {
    if (user && (await wrap(user).init())) yield 'all';
  }
}

@Consumer()
@Permissions(HasUsers)
class RecheckedConsumer extends PlainConsumer {
  @RevokedBy('onMessage', () => Message) protected *revokedByMessage() {
    yield 'all';
  }
}

@Consumer()
class MethodConsumer extends PlainConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }
  override async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription) {
    await this.em.count(User);
    await super.onMessage(event, subscription);
  }
}

@Consumer()
class LateConsumer extends PlainConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }
  override async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription) {
    await super.onMessage(event, subscription);
    await this.em.count(User);
  }
}

@Consumer()
class SignalConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onSaid, {}, context);
  }
  @Observer(said)
  async onSaid(event: SignalEvent<{ readonly text: string }>, subscription: Subscription) {
    await subscription.send(event);
  }
  @GroupsForSignal('onSaid') protected async *groupsOfAll() {
    for (const { username } of await allUsers()) yield `to-${username}`;
  }
  @GroupsForConsumer('onSaid') protected *groupsOfUser() {
    yield 'to-ann';
  }
}

/** What is read in the middle of telling a change. */
const readsUsers = (text: string): boolean => /^select .*"user"/i.test(text);
const readsRowsNow = (text: string): boolean => text.includes('_found as materialized (select k.o, (select');

interface Place {
  readonly place: string;
  readonly route: string;
  readonly action?: string;
}

const places: readonly Place[] = [
  { place: 'a nested row is read for an observer', route: '/nested/' },
  { place: 'a nested row is read for a subscription of a row', route: '/nested/', action: 'subscribe_instance' },
  { place: 'groups are asked', route: '/groups/' },
  { place: 'a permission is asked', route: '/guarded/' },
  { place: 'it is asked whose right may have ended', route: '/revocable/' },
  { place: 'it is asked whether a right has ended', route: '/rechecked/' },
  { place: 'the method of an observer runs', route: '/method/' },
];

describe('An event whose telling the database interrupts', () => {
  const database = useDatabase('lost_sessions');
  const serveRoutes = useServer();
  let providers: Served;
  let app: App;

  beforeEach(async () => {
    const { em } = database.orm;
    await em.execute(`insert into "user" (id, username, password) values (1, 'ann', '')`);
    await em.execute(`insert into room (id, name, archived) values (1, 'lobby', false)`);
    await em.execute(`insert into message (id, room_id, user_id, text) values (1, 1, 1, 'none')`);
    await em.execute('alter sequence message_id_seq restart with 2');
  });

  function serve(retryTimeLimit: number): void {
    allUsers = () => database.orm.em.fork().find(User, {});
    providers = serveRoutes(
      [
        path('/plain/', PlainConsumer),
        path('/nested/', NestedConsumer),
        path('/groups/', GroupsConsumer),
        path('/guarded/', GuardedConsumer),
        path('/revocable/', RevocableConsumer),
        path('/rechecked/', RecheckedConsumer),
        path('/method/', MethodConsumer),
        path('/late/', LateConsumer),
        path('/said/', SignalConsumer),
      ],
      { orm: database.orm, settings: { changeLog: { retryTimeLimit } } },
    );
    ({ app } = providers);
  }

  async function following(route: string, action = 'follow'): Promise<TestConnection> {
    const client = await connect(app, route);
    expect(await client.request(action, { pk: 1, request_id: 1 })).to.include({ response_status: 201 });
    return client;
  }

  async function say(text: string): Promise<void> {
    const em = database.orm.em.fork();
    em.assign(em.getReference(Message, 1), { text });
    await em.flush();
  }

  /** As a process with other columns writes it. */
  async function appendFromElsewhere(text: string): Promise<void> {
    const em = database.orm.em.fork();
    await em.execute('update message set text = ? where id = 1', [text]);
    const row = { class: 'Message', key: [1], shape: 'of another version', list: 0 };
    const entry = JSON.stringify({ v: 1, rows: [row], after: [['(1)']] });
    await em.execute('insert into signalbox.log (entries) values (?)', [entry]);
  }

  const textsOf = ({ frames }: TestConnection): readonly unknown[] =>
    frames.flatMap(({ data, action }) => {
      const { text } = (data ?? {}) as { readonly text?: string };
      return text === undefined ? [] : [`${action} ${text}`];
    });

  const errors = (): readonly string[] => providers.logger.at('error').map(({ message }) => message);

  for (const { place, route, action } of places) {
    it(`while ${place} is sent, once and in order, when the database is back`, async () => {
      serve(20_000);
      await using ann = await following(route, action);
      await using bob = await following('/plain/');
      const lost = await losingSessions(readsUsers, 2, async () => {
        for (const text of ['one', 'two', 'three']) await say(text);
        await app.idle();
      });
      expect(lost).to.equal(2);
      const texts = ['update one', 'update two', 'update three'];
      expect([textsOf(ann), textsOf(bob)]).to.deep.equal([texts, texts]);
      expect(errors()).to.deep.equal([]);
    });

    it(`while ${place} has been missed where the database goes on failing: clients that it concerns are closed with 1013`, async () => {
      serve(100);
      await using ann = await following(route, action);
      await using bob = await following('/plain/');
      await losingSessions(readsUsers, Number.POSITIVE_INFINITY, async () => {
        await say('one');
        expect(await within(ann.closed, 'The close')).to.equal(1013);
      });
      await app.idle();
      expect([textsOf(ann), textsOf(bob)]).to.deep.equal([[], ['update one']]);
      expect(errors()).to.have.length(1);
      await say('two');
      await app.idle();
      expect(textsOf(bob)).to.deep.equal(['update one', 'update two']);
    });
  }

  it('is sent in the order of the commits also where several writers write the row meanwhile', async () => {
    serve(20_000);
    await using ann = await following('/nested/');
    await using bob = await following('/plain/');
    const write = async (writer: string): Promise<void> => {
      for (let count = 1; count <= 10; count += 1) await say(`${writer}${count}`);
    };
    const lost = await losingSessions(readsUsers, 5, async () => {
      await Promise.all(['a', 'b', 'c'].map(write));
      await app.idle();
    });
    expect(lost).to.equal(5);
    const { text } = await database.orm.em.fork().findOneOrFail(Message, 1);
    expect(textsOf(ann)).to.have.length(30);
    expect(textsOf(ann)).to.deep.equal(textsOf(bob));
    expect(textsOf(ann).at(-1)).to.equal(`update ${text}`);
    expect(errors()).to.deep.equal([]);
  });

  it('while an entry of other columns is read is sent, before those of later commits', async () => {
    serve(20_000);
    await using ann = await following('/plain/');
    const lost = await losingSessions(readsRowsNow, 2, async () => {
      await appendFromElsewhere('one');
      await app.idle();
      await say('two');
      await app.idle();
    });
    expect(lost).to.equal(2);
    expect(textsOf(ann)).to.deep.equal(['update one', 'update two']);
    expect(errors()).to.deep.equal([]);
  });

  it('while an entry of other columns is read has been missed where the database goes on failing, which is counted', async () => {
    serve(100);
    await using ann = await following('/plain/');
    await using bob = await following('/said/');
    await losingSessions(readsRowsNow, Number.POSITIVE_INFINITY, async () => {
      await appendFromElsewhere('one');
      await app.idle();
      expect(await within(ann.closed, 'The close')).to.equal(1013);
    });
    expect(errors()).to.deep.equal(['An entry of the change log could not be read.']);
    expect(providers.counters.count('signalbox.log_unread_commits')).to.equal(1);
    said.send({ text: 'still here' });
    await app.idle();
    expect(textsOf(bob)).to.deep.equal(['on_said still here']);
  });

  it('of a signal is sent, once and in order, when the database is back', async () => {
    serve(20_000);
    await using ann = await following('/said/');
    const lost = await losingSessions(readsUsers, 2, async () => {
      for (const text of ['one', 'two']) said.send({ text });
      await app.idle();
    });
    expect(lost).to.equal(2);
    expect(textsOf(ann)).to.deep.equal(['on_said one', 'on_said two']);
    expect(errors()).to.deep.equal([]);
  });

  it('of a signal has been missed where the database goes on failing', async () => {
    serve(100);
    await using ann = await following('/said/');
    await using bob = await following('/plain/');
    await losingSessions(readsUsers, Number.POSITIVE_INFINITY, async () => {
      said.send({ text: 'one' });
      expect(await within(ann.closed, 'The close')).to.equal(1013);
    });
    await say('two');
    await app.idle();
    expect(textsOf(bob)).to.deep.equal(['update two']);
  });

  it('behind the first frame of its observer is not sent again: its client reads anew', async () => {
    serve(20_000);
    await using ann = await following('/late/');
    await losingSessions(readsUsers, 1, async () => {
      await say('one');
      expect(await within(ann.closed, 'The close')).to.equal(1013);
    });
    expect(textsOf(ann)).to.deep.equal(['update one']);
  });
});
