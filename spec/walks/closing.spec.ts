import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { Action, ApiConsumer, Consumer, createApp, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { User } from '../support/entities.js';

const written = Promise.withResolvers<void>();

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
    await new Promise(() => {});
  }
}

describe('An application that closes', () => {
  const database = useDatabase('closing_walk');

  it('rolls back what is under way, answers 503, and leaves the database to its owner', async () => {
    const app = createApp({ orm: database.orm, routes: [path('/', UserConsumer)] });
    await using ann = await connect(app, '/');
    const reply = ann.request('add');
    await written.promise;
    await app.close();
    expect(await reply).to.include({ response_status: 503, code: 'server_closing' });
    expect(await ann.closed).to.equal(1001);
    expect(await database.orm.em.fork().count(User)).to.equal(0);
  });
});
