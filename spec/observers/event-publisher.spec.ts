import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  type Permission,
  Permissions,
  path,
  RevokedBy,
  Serializer,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestChannel, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message } from '../support/entities.js';
import { Account } from '../support/keyed.js';
import { useServer } from '../support/serving.js';

@injectable()
class BrokenSerializer extends Serializer<Message, never> {
  toData(): never {
    throw new Error('serializer');
  }
}

/** Subscribes to its one observer. */
abstract class Subscriber extends ApiConsumer {
  abstract onMessage(event: ModelEvent<Message>, subscription: Subscription): Promise<void>;

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }
}

@Consumer()
class Healthy extends Subscriber {
  constructor(protected readonly em: EntityManager) {
    super();
  }

  @Action()
  async say() {
    this.em.create(Message, { room: 1, text: 'hi' });
    await this.em.flush();
  }

  @ModelObserver(() => Message)
  async onMessage(event: ModelEvent<Message>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class BrokenObserver extends Subscriber {
  @ModelObserver(() => Message)
  async onMessage(_event: ModelEvent<Message>, { requestId }: Subscription) {
    throw new Error(`observer ${requestId}`);
  }
}

/** Its messages and its subscriptions are in one group. */
abstract class Grouped extends Healthy {
  @GroupsForSignal('onMessage')
  protected groupsOfMessage(_message: Message): string[] | Promise<string[]> {
    return ['all'];
  }

  @GroupsForConsumer('onMessage')
  protected groupsOfAll(): string[] {
    return ['all'];
  }
}

@Consumer()
class BrokenGroups extends Grouped {
  protected override groupsOfMessage(): string[] {
    throw new Error('groups');
  }
}

/** Fails for what a message was at first. */
@Consumer()
class ForgetfulGroups extends Grouped {
  protected override groupsOfMessage({ text }: Message): string[] {
    if (text === 'hi') throw new Error('before');
    return ['all'];
  }
}

@Consumer()
class InjectedGroups extends Grouped {
  protected override async groupsOfMessage(_message: Message): Promise<string[]> {
    return [String(await this.em.count(Message))];
  }
}

@Consumer()
class ScopedGroups extends Grouped {
  protected override groupsOfMessage(_message: Message): string[] {
    return [this.scope.path];
  }
}

@Consumer()
class BrokenSerialization extends Subscriber {
  @ModelObserver(() => Message, { serializer: BrokenSerializer })
  async onMessage(event: ModelEvent<Message>, subscription: Subscription) {
    await subscription.send(event);
  }
}

const keys: unknown[] = [];

@Consumer()
class Accounts extends ApiConsumer {
  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onAccount, {}, context);
  }

  @ModelObserver(() => Account)
  async onAccount(event: ModelEvent<Account>, subscription: Subscription) {
    keys.push(event.pk);
    await subscription.send(event);
  }
}

const streams = {
  groups: BrokenGroups,
  forgetful: ForgetfulGroups,
  observer: BrokenObserver,
  serialization: BrokenSerialization,
  injected: InjectedGroups,
  scoped: ScopedGroups,
  healthy: Healthy,
};

describe('An observer that fails', () => {
  const database = useDatabase('change_publisher');
  const serve = useServer();
  let logger: MemoryLogger;
  let app: App;
  let ann: TestConnection;

  beforeEach(async () => {
    await database.orm.em.execute(`insert into room (name, archived) values ('red', false)`);
    ({ app, logger } = serve([path('/ws/', demultiplexer(streams))], { orm: database.orm }));
    ann = await connect(app, '/ws/');
  });

  async function follow(stream: keyof typeof streams): Promise<TestChannel> {
    const channel = ann.channel(stream);
    expect(await channel.request('follow')).to.include({ response_status: 201 });
    return channel;
  }

  function logged(message: string): string[] {
    return logger
      .at('error')
      .filter((entry) => entry.message === message)
      .map(({ fields }) => `${fields['observer']}: ${fields['error']}`);
  }

  it('reaches neither the writer nor the observers before and behind it', async () => {
    const healthy = await follow('healthy');
    for (const stream of ['groups', 'observer', 'serialization'] as const) await follow(stream);
    expect(await healthy.request('say')).to.include({ response_status: 200, data: null });
    expect(await healthy.receive()).to.deep.include({ action: 'create', data: { pk: 1 } });
    for (const stream of ['groups', 'observer', 'serialization'] as const) await ann.channel(stream).expectSilence();
    expect(await healthy.request('say')).to.include({ response_status: 200 });
    expect(await healthy.receive()).to.deep.include({ action: 'create', data: { pk: 2 } });
  });

  it('on the groups before a change gets no event of it', async () => {
    const channel = await follow('forgetful');
    await channel.request('say');
    const em = database.orm.em.fork();
    const message = await em.findOneOrFail(Message, 1);
    message.text = 'moved';
    await em.flush();
    await channel.expectSilence();
    message.text = 'moved again';
    await em.flush();
    expect(await channel.receive()).to.deep.include({ action: 'update', data: { pk: 1 } });
  });

  it('is logged, with its name and the error', async () => {
    for (const stream of ['groups', 'observer', 'serialization'] as const) await follow(stream);
    const healthy = await follow('healthy');
    await healthy.request('say');
    await healthy.receive();
    await ann.expectSilence();
    expect(logged('A change could not be sent as an event.')).to.have.members([
      'BrokenGroups.onMessage: Error: groups',
      'BrokenSerialization.onMessage: Error: serializer',
    ]);
    expect(logged('An event could not be delivered.')).to.deep.equal([
      'BrokenObserver.onMessage: Error: observer test-1',
    ]);
  });

  for (const [stream, observer, member] of [
    ['injected', 'InjectedGroups', 'em'],
    ['scoped', 'ScopedGroups', 'scope'],
  ] as const) {
    it(`because its groups read "${member}" of the consumer is told so by name`, async () => {
      await follow(stream);
      const healthy = await follow('healthy');
      await healthy.request('say');
      await healthy.receive();
      await ann.expectSilence();
      expect(logged('A change could not be sent as an event.')).to.deep.equal([
        `${observer}.onMessage: ConfigurationError: ${observer}.${member}: is read while the groups of a row are computed, ` +
          'which happens once per change and outside any connection. Derive the groups from the row alone.',
      ]);
    });
  }

  it('for one subscription leaves the others of the same consumer alone', async () => {
    const channel = await follow('observer');
    await channel.request('follow');
    const healthy = await follow('healthy');
    await healthy.request('say');
    await healthy.receive();
    await channel.expectSilence();
    expect(logged('An event could not be delivered.')).to.have.length(2);
  });
});

let groupsAsked = 0;

@Consumer()
class CountingConsumer extends Accounts {
  @GroupsForSignal('onAccount')
  protected groupsOfAccount() {
    groupsAsked += 1;
    return ['all'];
  }

  @GroupsForConsumer('onAccount')
  protected groupsOfAll() {
    return ['all'];
  }
}

/** The entities that were made of rows of the log. */
const looked: Account[] = [];

@injectable()
class IsWelcome implements Permission {
  hasPermission() {
    return true;
  }
}

@Consumer()
@Permissions(IsWelcome)
class LookingConsumer extends Accounts {
  @GroupsForSignal('onAccount')
  @RevokedBy('onAccount', () => Account)
  protected groupsOfAccount(account: Account) {
    looked.push(account);
    return ['all'];
  }

  @GroupsForConsumer('onAccount')
  protected groupsOfAll() {
    return ['all'];
  }
}

@Consumer()
@Permissions(IsWelcome)
class AlsoLookingConsumer extends LookingConsumer {}

describe('A change that is published', () => {
  const database = useDatabase('change_publisher_keys', [Account]);
  const serve = useServer();
  beforeEach(() => {
    keys.splice(0);
    groupsAsked = 0;
    looked.splice(0);
  });

  it('has its groups asked only while a client of this process is subscribed to the observer', async () => {
    const routes = [path('/ws/', CountingConsumer), path('/others/', Accounts)];
    const { app } = serve(routes, { orm: database.orm });
    const write = async (id: bigint): Promise<void> => {
      const em = database.orm.em.fork();
      em.create(Account, { id });
      await em.flush();
      await app.idle();
    };
    await using other = await connect(app, '/others/');
    await other.request('follow');
    await write(1n);
    expect(await other.receive()).to.deep.include({ action: 'create' });
    expect(groupsAsked).to.equal(0);
    const ann = await connect(app, '/ws/');
    await ann.request('follow', { request_id: 1 });
    await write(2n);
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { pk: '2' } });
    expect(groupsAsked).to.equal(1);
    ann.close();
    await ann.closed;
    await write(3n);
    expect(groupsAsked).to.equal(1);
  });

  it('has one entity made of its row, however many observers and rules look at it', async () => {
    const routes = [path('/one/', LookingConsumer), path('/other/', AlsoLookingConsumer)];
    const { app } = serve(routes, { orm: database.orm });
    await using ann = await connect(app, '/one/');
    await using bob = await connect(app, '/other/');
    for (const each of [ann, bob]) expect(await each.request('follow')).to.include({ response_status: 201 });
    const em = database.orm.em.fork();
    em.create(Account, { id: 1n });
    await em.flush();
    for (const each of [ann, bob]) expect(await each.receive()).to.deep.include({ action: 'create' });
    expect(looked).to.have.length(4);
    expect(new Set(looked).size).to.equal(1);
  });

  it('is not logged any more when the last application has ended', async () => {
    const { em: root } = database.orm;
    const entries = async (): Promise<unknown> => {
      const [{ count } = {}] = await root.execute('select count(*)::int as count from signalbox.log');
      return count;
    };
    const write = async (id: bigint): Promise<void> => {
      const em = root.fork();
      em.create(Account, { id });
      await em.flush();
    };
    const { app } = serve([path('/ws/', Accounts)], { orm: database.orm });
    await using ann = await connect(app, '/ws/');
    await ann.request('follow');
    const before = await entries();
    await write(1n);
    expect(await entries()).to.equal(Number(before) + 1);
    await app.close();
    await write(2n);
    await root.fork().upsert(Account, { id: 3n });
    expect(await entries()).to.equal(Number(before) + 1);
  });

  it('has JSON values only, a bigint key as text', async () => {
    const { app } = serve([path('/ws/', Accounts)], { orm: database.orm });
    await using ann = await connect(app, '/ws/');
    await ann.request('follow');
    const em = database.orm.em.fork();
    const account = em.create(Account, { id: 9007199254740993n });
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { pk: '9007199254740993' } });
    em.remove(account);
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: '9007199254740993' } });
    expect(keys).to.deep.equal(['9007199254740993', '9007199254740993']);
  });
});
