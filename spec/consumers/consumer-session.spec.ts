import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  ApiError,
  type App,
  type AppOptions,
  ConfigurationError,
  Conflict,
  Consumer,
  createApp,
  demultiplexer,
  type ErrorMapper,
  path,
  type Route,
  Scope,
} from 'signalbox';
import { connect, type MemoryLogger, type TestClock } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';

/** What happened, in its order. Made anew for each spec. */
let events: string[] = [];
let gates = new Map<string, PromiseWithResolvers<void>>();

function gate(name: string): PromiseWithResolvers<void> {
  const known = gates.get(name) ?? Promise.withResolvers<void>();
  gates.set(name, known);
  return known;
}

class CardDeclined extends Error {}

@injectable()
class PaymentErrors implements ErrorMapper {
  toApiError(thrown: unknown) {
    return thrown instanceof CardDeclined ? new Conflict('The card was declined.') : undefined;
  }
}

class RoomFull extends ApiError {
  static override readonly status = 409;
  static override readonly code = 'room_full';
  static override readonly detail = 'This room is full.';
}

@Consumer()
class OrderConsumer extends ApiConsumer {
  @Action()
  async slow() {
    events.push('slow begins');
    await gate('slow').promise;
    events.push('slow ends');
  }

  @Action()
  quick({ requestId }: ActionContext) {
    events.push(`quick ${requestId}`);
  }

  @Action({ detached: true })
  async detached({ signal }: ActionContext) {
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => {
      events.push(`aborted: ${signal.reason.name}`);
      resolve();
    });
    gate('detached').promise.then(resolve);
    events.push('detached begins');
    gate('detached begun').resolve();
    await promise;
  }

  @Action({ strict: true })
  strictly() {}

  @Action()
  async subscribeToNothing(context: ActionContext) {
    // @ts-expect-error refused by the types as well
    await this.subscribe(this.notObserving, {}, context);
  }

  protected async notObserving() {}

  @Action()
  full() {
    throw new RoomFull();
  }

  @Action()
  pay() {
    throw new CardDeclined('number 4711');
  }

  protected override async onDisconnect(code: number) {
    events.push(`disconnected ${code}`);
  }
}

@Consumer()
class ConnectingConsumer extends ApiConsumer {
  @Action() quick() {
    return this.scope.query.get('name');
  }

  protected override async onConnect() {
    if (this.scope.query.has('refuse')) throw new Conflict('Not today.');
    if (this.scope.query.has('fail')) throw new Error('secret');
    if (this.scope.query.has('wait')) await gate('connect').promise;
    events.push('connected');
  }

  protected override async onDisconnect() {
    events.push('disconnecting');
    if (this.scope.query.has('fail')) throw new Error('secret');
  }
}

@Consumer()
class UnbuildableConsumer extends ApiConsumer {
  constructor() {
    super();
    throw new Error('The constructor failed.');
  }

  @Action() quick() {}
}

@Consumer()
class EagerConsumer extends ApiConsumer {
  readonly path: string;

  constructor() {
    super();
    this.path = this.scope.path;
  }
}

@Consumer()
class InjectedConsumer extends ApiConsumer {
  readonly #path: string;

  constructor(scope: Scope) {
    super();
    this.#path = scope.path;
  }

  @Action() where() {
    return this.#path;
  }
}

describe('A consumer', () => {
  const database = useDatabase('consumer_channel');
  const routes = [
    path('/order/', OrderConsumer),
    path('/connecting/', ConnectingConsumer),
    path('/unbuildable/', UnbuildableConsumer),
    path('/eager/', EagerConsumer),
    path('/injected/', InjectedConsumer),
    path('/streams/', demultiplexer({ bad: UnbuildableConsumer, good: OrderConsumer })),
  ];
  let app: App<readonly Route[]>;
  let logger: MemoryLogger;
  let clock: TestClock;

  beforeEach(() => {
    events = [];
    gates = new Map();
    const providers = testProviders();
    ({ logger, clock } = providers);
    const options: AppOptions<readonly Route[]> = {
      orm: database.orm,
      routes,
      container: providers.container,
      errors: [PaymentErrors],
    };
    app = createApp(options);
  });
  afterEach(async () => {
    for (const { resolve } of gates.values()) resolve();
    await app.close();
  });

  it('answers requests in their order, however they come', async () => {
    await using client = await connect(app, '/order/');
    client.send({ action: 'slow', request_id: 1 });
    client.send({ action: 'quick', request_id: 2 });
    client.send({ action: 'unknown', request_id: 3 });
    client.send({ action: 5, request_id: 4 });
    client.send({ action: 'quick', request_id: 5 });
    gate('slow').resolve();
    await client.reply(5);
    expect(client.frames.map(({ request_id, response_status }) => [request_id, response_status])).to.deep.equal([
      [1, 200],
      [2, 200],
      [3, 405],
      [4, 400],
      [5, 200],
    ]);
    expect(events).to.deep.equal(['slow begins', 'slow ends', 'quick 2', 'quick 5']);
  });

  it('does not let a detached action hold up the others', async () => {
    await using client = await connect(app, '/order/');
    client.send({ action: 'detached', request_id: 1 });
    client.send({ action: 'quick', request_id: 2 });
    expect(await client.receive()).to.include({ request_id: 2 });
    gate('detached').resolve();
    expect(await client.receive()).to.include({ request_id: 1, response_status: 200 });
  });

  it('aborts a detached action when its client leaves', async () => {
    const client = await connect(app, '/order/');
    client.send({ action: 'detached', request_id: 1 });
    await gate('detached begun').promise;
    client.close(1001);
    await client.closed;
    await app.close();
    expect(events).to.deep.equal(['detached begins', 'aborted: Disconnected', 'disconnected 1001']);
    expect(client.frames).to.deep.equal([]);
  });

  it('refuses all kwargs of a strict action that takes none', async () => {
    await using client = await connect(app, '/order/');
    expect(await client.request('strictly')).to.include({ response_status: 200 });
    expect(await client.request('strictly', { room: 1 })).to.deep.include({
      response_status: 400,
      errors: [{ room: ['This field is not known.'] }],
    });
  });

  it("answers with an application's own errors, and with what a provider makes of others", async () => {
    await using client = await connect(app, '/order/');
    client.send({ action: 'full', request_id: 1 });
    expect(await client.receive()).to.deep.equal({
      errors: ['This room is full.'],
      data: null,
      action: 'full',
      response_status: 409,
      request_id: 1,
      code: 'room_full',
    });
    client.send({ action: 'pay', request_id: 2 });
    expect(await client.receive()).to.deep.equal({
      errors: ['The card was declined.'],
      data: null,
      action: 'pay',
      response_status: 409,
      request_id: 2,
      code: 'conflict',
    });
    // The client is told of its mistake, and a stack would say nothing of it.
    const fields = { consumer: 'OrderConsumer', action: 'pay', requestId: 2, path: '/order/', code: 'conflict' };
    expect(logger.entries).to.deep.equal([
      { level: 'debug', message: 'An error was mapped.', fields: { ...fields, error: 'Error: number 4711' } },
    ]);
  });

  describe('runs its connect hook', () => {
    it('before the first request', async () => {
      await using client = await connect(app, '/connecting/?wait&name=ann');
      client.send({ action: 'quick', request_id: 1 });
      gate('connect').resolve();
      expect(await client.receive()).to.deep.include({ data: 'ann', response_status: 200 });
    });

    it('and answers every request with what it refuses', async () => {
      await using client = await connect(app, '/connecting/?refuse');
      for (const action of ['quick', 'unknown', 'quick']) {
        expect(await client.request(action)).to.deep.include({
          errors: ['Not today.'],
          action,
          response_status: 409,
          code: 'conflict',
        });
      }
    });

    it('and answers every request with 500 where it fails, logged once', async () => {
      await using client = await connect(app, '/connecting/?fail');
      const first = await client.request('quick');
      expect(first).to.include({ response_status: 500 });
      expect((await client.request('quick')).errors).to.deep.equal(first.errors);
      expect(JSON.stringify(client.frames)).not.to.include('secret');
      expect(logger.at('error')).to.have.length(1);
      expect(logger.at('error')[0]?.fields).to.include({ consumer: 'ConnectingConsumer', hook: 'connect' });
    });

    it('and gives it up at the time limit of an action, with a note in the log', async () => {
      await using client = await connect(app, '/connecting/?wait');
      client.send({ action: 'quick', request_id: 1 });
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(30_000);
      expect(await client.receive()).to.include({ request_id: 1, response_status: 504 });
      expect(await client.request('quick')).to.include({ response_status: 504 });
      expect(logger.at('warn').map(({ message, fields }) => [message, fields])).to.deep.equal([
        ['A hook exceeded its time limit.', { consumer: 'ConnectingConsumer', hook: 'connect', path: '/connecting/' }],
      ]);
    });

    it('to its end before the disconnect hook, also where its client has left', async () => {
      const client = await connect(app, '/connecting/?wait');
      client.send({ action: 'quick', request_id: 1 });
      client.close();
      await client.closed;
      gate('connect').resolve();
      await app.close();
      expect(events).to.deep.equal(['connected', 'disconnecting']);
      expect(client.frames).to.deep.equal([]);
      expect(logger.entries).to.deep.equal([]);
    });
  });

  it('runs its disconnect hook once, and logs what it throws', async () => {
    const client = await connect(app, '/connecting/?fail');
    client.close();
    await app.close();
    expect(events).to.deep.equal(['disconnecting']);
    expect(logger.at('error').map(({ fields }) => fields.hook)).to.deep.equal(['connect', 'disconnect']);
  });

  describe('that cannot be built', () => {
    it('answers every request with 500, and the socket lives on', async () => {
      await using client = await connect(app, '/unbuildable/');
      expect(await client.request('quick')).to.include({ response_status: 500, action: 'quick' });
      expect(await client.request('quick')).to.include({ response_status: 500 });
    });

    it('takes no other stream with it', async () => {
      await using client = await connect(app, '/streams/');
      expect(await client.channel('bad').request('quick')).to.include({ response_status: 500 });
      expect(await client.channel('good').request('quick')).to.include({ response_status: 200 });
      expect(await client.channel('bad').request('quick')).to.include({ response_status: 500 });
    });

    it('because its constructor uses the connection, is told so', async () => {
      await using client = await connect(app, '/eager/');
      await client.request('quick');
      expect(logger.at('error')[0]?.fields.error)
        .to.be.instanceOf(ConfigurationError)
        .with.property(
          'message',
          'EagerConsumer: its constructor uses the connection, which is only set afterwards. Do it in onConnect(), or inject Scope.',
        );
    });
  });

  it('that subscribes to what is no observer is told so', async () => {
    await using client = await connect(app, '/order/');
    expect(await client.request('subscribe_to_nothing')).to.include({ response_status: 500 });
    expect(logger.at('error')[0]?.fields.error)
      .to.be.instanceOf(ConfigurationError)
      .with.property(
        'message',
        'OrderConsumer: subscribes to a method that is not an observer of it. Pass one with @ModelObserver: this.subscribe(this.onMessage, …).',
      );
  });

  it('is handed the scope of its own connection', async () => {
    await using client = await connect(app, '/injected/');
    expect(await client.request('where')).to.include({ data: '/injected/' });
  });
});
