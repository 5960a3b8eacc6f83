import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
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
import { testProviders } from '../support/providers.js';

let begun = Promise.withResolvers<void>();

@Consumer()
class UserConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onUser, {}, context);
  }

  @ModelObserver(() => User)
  async onUser(event: ModelEvent<User>, subscription: Subscription) {
    if (event.action === 'create') {
      begun.resolve();
      await new Promise<never>(() => {});
    }
    await subscription.send({ action: event.action, data: 'seen' });
  }
}

describe('An observer that never settles', () => {
  const database = useDatabase('abandoned_observers');

  it('is given up at the time limit of actions, and the events behind it are delivered', async () => {
    begun = Promise.withResolvers();
    const { container, logger, clock } = testProviders();
    const app = createApp({
      orm: database.orm,
      container,
      routes: [path('/', UserConsumer)],
      settings: { actionTimeLimit: 500 },
    });
    await using ann = await connect(app, '/');
    await ann.request('watch', { request_id: 1 });
    const em: EntityManager = database.orm.em.fork();
    const user = em.create(User, { username: 'bob', password: 'x' });
    await em.flush();
    await begun.promise;
    user.username = 'rob';
    await em.flush();
    clock.advance(500);
    expect(await ann.receive()).to.include({ action: 'update', data: 'seen', request_id: 1 });
    expect(logger.at('error').map(({ message }) => message)).to.deep.equal(['An event could not be delivered.']);
    await app.close();
  });
});
