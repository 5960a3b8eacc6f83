import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  Connections,
  Consumer,
  demultiplexer,
  type Permission,
  Permissions,
  path,
  type ScopeUser,
  type UserStore,
} from 'signalbox';
import { connect, MemoryCounters, type MemoryLogger, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useServer } from '../support/serving.js';

let calls: number;
let asked: PromiseWithResolvers<void>;
let answer: Promise<boolean>;

@injectable()
class Users implements UserStore {
  async find(id: string): Promise<ScopeUser> {
    return { id };
  }
}

/** Takes as long as the spec wishes when it is asked again. */
@injectable()
class SlowToSay implements Permission {
  canConnect(): Promise<boolean> {
    asked.resolve();
    return answer;
  }
}

@Consumer()
@Permissions(SlowToSay)
class CallConsumer extends ApiConsumer {
  @Action()
  async call() {
    calls += 1;
    return calls;
  }
}

describe('While the permissions to connect are asked again', () => {
  const serve = useServer();
  let app: App;
  let client: TestConnection;
  let clock: TestClock;
  let logger: MemoryLogger;
  let counters: MemoryCounters;
  let grant: (isGranted: boolean) => void;

  beforeEach(async () => {
    calls = 0;
    asked = Promise.withResolvers();
    answer = Promise.resolve(true);
    const { container, ...served } = serve([path('/', CallConsumer)], {
      users: Users,
      settings: { limits: { waitingRequests: 64 } },
    });
    ({ app, clock, logger, counters } = served);
    client = await connect(app, '/', { user: { id: '1' }, identity: { userId: '1' } });
    asked = Promise.withResolvers();
    ({ promise: answer, resolve: grant } = Promise.withResolvers<boolean>());
    await container.resolve(Connections).recheckUser('1');
    await asked.promise;
  });
  afterEach(async () => {
    grant(true);
    client.close();
    await client.ended;
  });

  function callTimes(count: number): void {
    for (let id = 1; id <= count; id += 1) client.send({ action: 'call', request_id: id });
  }

  it('keeps requests from their consumer, and hands them over in their order once it is granted', async () => {
    callTimes(3);
    await client.expectSilence();
    expect(calls).to.equal(0);
    grant(true);
    const replies = [await client.receive(), await client.receive(), await client.receive()];
    expect(replies.map(({ request_id, data }) => [request_id, data])).to.deep.equal([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it('answers pings, and what is no request, at once', async () => {
    callTimes(1);
    client.send({ action: 'ping', request_id: 'p' });
    expect(await client.reply('p')).to.include({ response_status: 200 });
    client.sendText('nul');
    expect(await client.receive()).to.include({ response_status: 400, code: 'parse_error' });
    expect(calls).to.equal(0);
  });

  it('lets 64 requests wait and answers 429 to those above at once', async () => {
    callTimes(66);
    expect(await client.reply(65)).to.deep.equal({
      errors: ['At most 64 requests may wait.'],
      data: { retry_after_ms: 1_000 },
      action: 'call',
      response_status: 429,
      request_id: 65,
      code: 'throttled',
    });
    expect(await client.reply(66)).to.include({ response_status: 429 });
    expect(counters.count('signalbox.limits_reached', { limit: 'waiting_requests' })).to.equal(2);
    grant(true);
    expect(await client.reply(64)).to.include({ response_status: 200, data: 64 });
    expect(calls).to.equal(64);
  });

  it('counts frames when they come, and closes with 1013 a client that exceeds the limit', async () => {
    callTimes(400);
    expect(await client.closed).to.equal(1013);
    expect(calls).to.equal(0);
  });

  it('answers 503 to what waits and closes with 1011 where no answer comes within handshakeTimeLimit', async () => {
    callTimes(1);
    await client.expectSilence();
    clock.advance(9_999);
    expect(client.frames).to.deep.equal([]);
    clock.advance(1);
    expect(await client.receive()).to.deep.equal({
      errors: ['Your rights could not be checked in time.'],
      data: null,
      action: 'call',
      response_status: 503,
      request_id: 1,
      code: 'handshake_timed_out',
    });
    expect(await client.closed).to.equal(1011);
    expect(calls).to.equal(0);
    expect(logger.at('warn').map(({ message }) => message)).to.include(
      'The permissions to connect were not answered in time.',
    );
    expect(counters.count('signalbox.unchecked_connections', { asked: 'permissions' })).to.equal(1);
  });

  it('answers 403 to what waits and closes with 4403 where it is refused', async () => {
    callTimes(1);
    await client.expectSilence();
    grant(false);
    expect(await client.receive()).to.include({ response_status: 403, request_id: 1 });
    expect(await client.closed).to.equal(4403);
    expect(calls).to.equal(0);
  });
});

@Consumer()
@Permissions(SlowToSay)
class LateCallConsumer extends CallConsumer {}

describe('A connection that ends while the permissions to connect are asked again', () => {
  const serve = useServer();

  it('has no line in the log for the questions that are still to come', async () => {
    answer = Promise.resolve(true);
    asked = Promise.withResolvers();
    const routes = [path('/', demultiplexer({ calls: CallConsumer, later: LateCallConsumer }))];
    const { app, container, logger } = serve(routes, { users: Users });
    const client = await connect(app, '/', { user: { id: '1' }, identity: { userId: '1' } });
    asked = Promise.withResolvers();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    answer = promise;
    await container.resolve(Connections).recheckUser('1');
    await asked.promise;
    client.close();
    await client.ended;
    resolve(true);
    await app.idle();
    await app.close();
    expect(logger.at('error')).to.deep.equal([]);
  });
});
