import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  Consumer,
  createApp,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { User } from '../support/entities.js';

const written = Promise.withResolvers<void>();
const released = Promise.withResolvers<void>();

@Consumer()
class UserConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ atomic: true })
  async add() {
    this.em.create(User, { username: 'ann', password: 'x' });
    await this.em.flush();
    written.resolve();
    await released.promise;
  }

  @ModelObserver(() => User, { body: ({ username }) => ({ username }) })
  async onUser(event: ModelEvent<User, { username: string }>, subscription: Subscription) {
    await subscription.send(event);
  }

  @Action()
  addAtOnce() {
    return this.#create('bob').username;
  }

  protected override async onDisconnect() {
    this.#create('eve');
    await this.em.flush();
  }

  #create(username: string): User {
    return this.em.create(User, { username, password: 'x' });
  }
}

describe('An application that closes', () => {
  const database = useDatabase('closing_walk');

  it('rolls back what is under way, answers 503, and leaves the database to its owner', async () => {
    const app = createApp({ orm: database.orm, routes: [path('/', UserConsumer)] });
    await using ann = await connect(app, '/');
    const reply = ann.request('add');
    await written.promise;
    const closed = app.close();
    expect(await reply).to.include({ response_status: 503, code: 'server_closing' });
    expect(await ann.closed).to.equal(1001);
    released.resolve();
    await closed;
    expect(await database.orm.em.fork().count(User, { username: 'ann' })).to.equal(0);
  });

  it('leaves in the change log what it commits until its last connection has ended', async () => {
    const committing = Promise.withResolvers<void>();
    const closing = Promise.withResolvers<void>();
    database.orm.em.getEventManager().registerSubscriber({
      async beforeTransactionCommit() {
        committing.resolve();
        await closing.promise;
      },
    });
    const app = createApp({ orm: database.orm, routes: [path('/', UserConsumer)] });
    await using ann = await connect(app, '/');
    const reply = ann.request('add_at_once');
    await committing.promise;
    const closed = app.close();
    closing.resolve();
    await closed;
    expect(await reply).to.include({ response_status: 200, data: 'bob' });
    const log = await database.orm.em.execute<{ entries: string }[]>('select entries from signalbox.log order by id');
    const names = log.map(({ entries }) => ['bob', 'eve'].filter((name) => entries.includes(name)));
    expect(names.slice(-2)).to.deep.equal([['bob'], ['eve']]);
  });
});
