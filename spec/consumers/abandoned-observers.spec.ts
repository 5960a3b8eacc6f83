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
import { until } from '../support/deadline.js';
import { User } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

let begun = Promise.withResolvers<void>();
/** Settles the delivery of a create. */
let gate = Promise.withResolvers<never>();

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
      await gate.promise;
    }
    await subscription.send({ action: event.action, data: 'seen' });
  }
}

describe('An observer that never settles', () => {
  const database = useDatabase('abandoned_observers');

  async function abandoned() {
    begun = Promise.withResolvers();
    gate = Promise.withResolvers();
    const { container, logger, clock } = testProviders();
    const app = createApp({
      orm: database.orm,
      container,
      routes: [path('/', UserConsumer)],
      settings: { actionTimeLimit: 500 },
    });
    const ann = await connect(app, '/');
    await ann.request('watch', { request_id: 1 });
    const em: EntityManager = database.orm.em.fork();
    const user = em.create(User, { username: 'bob', password: 'x' });
    await em.flush();
    await begun.promise;
    user.username = 'rob';
    await em.flush();
    clock.advance(500);
    expect(await ann.receive()).to.include({ action: 'update', data: 'seen', request_id: 1 });
    const end = async (): Promise<void> => {
      await ann.close();
      await app.close();
    };
    return { logger, [Symbol.asyncDispose]: end };
  }

  it('is given up at the time limit of actions, and the events behind it are delivered', async () => {
    await using given = await abandoned();
    expect(given.logger.at('error').map(({ message }) => message)).to.deep.equal(['An event could not be delivered.']);
    expect(given.logger.at('warn')).to.deep.equal([]);
  });

  it('has an error logged that it throws after that', async () => {
    await using given = await abandoned();
    gate.reject(new Error('too late'));
    await until(() => given.logger.at('warn').length > 0, 'The warning of a late error');
    const [warning, ...others] = given.logger.at('warn');
    expect(others).to.deep.equal([]);
    expect(warning?.message).to.equal('A hook failed after it was abandoned.');
    expect(String(warning?.fields['error'])).to.equal('Error: too late');
    expect(given.logger.at('error')).to.have.length(1);
  });
});
