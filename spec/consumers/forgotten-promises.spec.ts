import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, type App, Connections, Consumer, ParseError, path } from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { BellObserver, bells } from '../support/bells.js';
import { useServer } from '../support/serving.js';

/** What a developer forgets to await. */
@Consumer()
class ForgetfulConsumer extends BellObserver {
  constructor(private readonly connections: Connections) {
    super();
  }

  @Action()
  async subscribes(context: ActionContext) {
    void this.subscribe(this.onBell, {}, context);
    return 'subscribed';
  }

  @Action()
  async unsubscribes(context: ActionContext) {
    void this.unsubscribe(this.onBell, {}, context);
    return 'unsubscribed';
  }

  @Action()
  async catches(context: ActionContext) {
    try {
      await this.subscribe(this.onBell, {}, context);
      return 'subscribed';
    } catch (error) {
      return error instanceof ParseError ? 'caught' : 'lost';
    }
  }

  @Action()
  async catchesLater(context: ActionContext) {
    const subscribed = this.subscribe(this.onBell, {}, context);
    await new Promise(setImmediate);
    return Promise.all([subscribed, this.addGroup('lobby')]).catch(() => 'caught');
  }

  @Action()
  async joins({ kwargs }: ActionContext) {
    void this.addGroup(String(kwargs['group']));
  }

  @Action()
  async leaves() {
    void this.removeGroup('lobby');
  }

  @Action()
  async logsIn({ scope, kwargs }: ActionContext) {
    const expiresAt = new Date(String(kwargs['until']));
    void this.connections.login(scope, { id: 1 }, { userId: '1', expiresAt });
  }

  @Action()
  async logsOut({ scope }: ActionContext) {
    void this.connections.logout(scope);
  }

  @Action()
  async who({ scope }: ActionContext) {
    return { user: scope.identity?.userId ?? null, groups: this.joinedGroups };
  }
}

@Consumer()
class HastyConsumer extends ApiConsumer {
  protected override onConnect(): void {
    void this.addGroup('');
  }

  @Action()
  async ask() {
    return 'answered';
  }
}

describe('A promise of the framework that an action does not await', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(() => {
    ({ app, logger } = serve([path('/', ForgetfulConsumer), path('/hasty/', HastyConsumer)]));
  });

  it('fails the request with its error, and never the process', async () => {
    await using ann = await connect(app, '/');
    ann.send({ action: 'subscribes' });
    expect(await ann.receive()).to.deep.equal({
      errors: ['A subscription needs a request_id.'],
      data: null,
      action: 'subscribes',
      response_status: 400,
      request_id: null,
      code: 'parse_error',
    });
    expect(await ann.request('joins', { group: '' })).to.include({ response_status: 500 });
    expect(await ann.request('logs_in', { until: '2020-01-01' })).to.include({ code: 'session_expired' });
    expect(await ann.request('who')).to.deep.include({ data: { user: null, groups: [] } });
  });

  it('is done before the reply where it succeeds', async () => {
    await using ann = await connect(app, '/');
    expect(await ann.request('subscribes', { request_id: 7 })).to.include({ data: 'subscribed' });
    bells.send({ bell: 'front' });
    expect(await ann.receive()).to.deep.include({ request_id: 7, action: 'on_bell', data: { bell: 'front' } });
    expect(await ann.request('unsubscribes', { request_id: 7 })).to.include({ data: 'unsubscribed' });
    bells.send({ bell: 'back' });
    await ann.expectSilence();
    await ann.request('joins', { group: 'lobby' });
    await ann.request('logs_in', { until: '2099-01-01' });
    expect(await ann.request('who')).to.deep.include({ data: { user: '1', groups: [] } });
    await ann.request('joins', { group: 'lobby' });
    expect(await ann.request('who')).to.deep.include({ data: { user: '1', groups: ['lobby'] } });
    await ann.request('leaves');
    await ann.request('logs_out');
    expect(await ann.request('who')).to.deep.include({ data: { user: null, groups: [] } });
  });

  it('is for the action to handle where it awaits it, also later', async () => {
    await using ann = await connect(app, '/');
    for (const action of ['catches', 'catches_later']) {
      ann.send({ action });
      expect(await ann.receive()).to.include({ action, response_status: 200, data: 'caught' });
    }
  });

  it('is logged where it fails in a hook, and the connection lives', async () => {
    await using ann = await connect(app, '/hasty/');
    expect(await ann.request('ask')).to.include({ data: 'answered' });
    await new Promise(setImmediate);
    expect(logger.at('error').map(({ message, fields }) => [message, String(fields['error'])])).to.deep.equal([
      [
        'A promise that the consumer does not await was rejected.',
        "RangeError: A group's name is a string of 1 to 500 characters, not 0 characters.",
      ],
    ]);
  });
});
