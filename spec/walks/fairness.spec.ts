import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, type App, Consumer, createApp, path } from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';

const sockets = 20;
const requests = 10;
let ended: string[];

@Consumer()
class WorkConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async work({ scope }: ActionContext) {
    await new Promise(setImmediate);
    ended.push(String(scope.identity?.userId));
  }

  @Action({ atomic: true })
  async write({ scope }: ActionContext) {
    await this.em.getConnection().execute('select 1', [], 'get', this.em.getTransactionContext());
    ended.push(String(scope.identity?.userId));
  }
}

describe('A user with 20 sockets, who has asked ten times at once through each', () => {
  const database = useDatabase('fairness');
  let app: App;
  let busy: TestConnection[];

  const as = (userId: string): Promise<TestConnection> => connect(app, '/', { identity: { userId } });

  beforeEach(async () => {
    ended = [];
    const { container } = testProviders();
    app = createApp({ orm: database.orm, container, routes: [path('/', WorkConsumer)] });
    busy = await Promise.all(Array.from({ length: sockets }, () => as('busy')));
  });
  afterEach(() => app.close());

  for (const [action, means] of [
    ['work', 'without a database'],
    ['write', 'with a transaction each, more of them than the pool has connections'],
  ] as const) {
    it(`gets at most two turns of each socket before another user gets one, ${means}`, async () => {
      await using other = await as('other');
      for (const client of busy) for (let id = 1; id <= requests; id += 1) client.send({ action, request_id: id });
      await busy[0]?.reply(1);
      const before = ended.length;
      expect(await other.request(action)).to.include({ response_status: 200 });
      expect(ended.indexOf('other') - before).to.be.at.most(2 * sockets);
      await Promise.all(busy.map((client) => client.reply(requests, { timeout: patience })));
    });
  }
});
