import { expect } from 'chai';
import {
  ApiConsumer,
  ConfigurationError,
  Consumer,
  createApp,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connectOrm } from '../support/database.js';
import { entities, User } from '../support/entities.js';
import { offlineOrm } from '../support/offline-orm.js';

@Consumer()
class Watching extends ApiConsumer {
  @ModelObserver(() => User)
  async onUser(event: ModelEvent<User, { pk: number }>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class Misreading extends ApiConsumer {
  @ModelObserver(() => User)
  async onUser(event: ModelEvent<User, { pk: number }>, subscription: Subscription) {
    await subscription.send(event);
  }
  @GroupsForSignal('onUser', { reads: ['pasword'] }) protected *groupsOfUser() {
    yield 'all';
  }
  @GroupsForConsumer('onUser') protected *groupsOfAll() {
    yield 'all';
  }
}

describe('An application that observes a model', () => {
  for (const [option, value] of [
    ['disableTransactions', true],
    ['implicitTransactions', false],
  ] as const) {
    it(`refuses an ORM with ${option}: ${value}`, async () => {
      const orm = await connectOrm('postgresql://127.0.0.1:1/none', { [option]: value });
      expect(() => createApp({ orm, routes: [path('/', Watching)] })).to.throw(
        ConfigurationError,
        `createApp.orm: has \`${option}: ${value}\`, so that writes of observed models are not sent as events with their commit. ` +
          'Leave the option out: MikroORM begins a transaction for each flush then.',
      );
    });
  }

  it('refuses groups that read what is no property of the model', async () => {
    const orm = await offlineOrm(entities);
    expect(() => createApp({ orm, routes: [path('/', Misreading)] })).to.throw(
      ConfigurationError,
      'Misreading.onUser: reads "pasword", which is not a property of User. ' +
        'Name properties of the observed entity that are hidden or lazy: { reads: [...] }.',
    );
  });
});
