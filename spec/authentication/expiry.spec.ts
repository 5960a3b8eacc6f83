import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Clock,
  Connections,
  Consumer,
  path,
  SessionExpired,
} from 'signalbox';
import { connect, TestClock, type TestConnection } from 'signalbox/testing';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';

/** A clock that somebody may put forward or back, as an administrator does. */
class SteppedClock extends TestClock {
  #step = 0;

  override now(): Date {
    return new Date(super.now().getTime() + this.#step);
  }

  put(milliseconds: number): void {
    this.#step += milliseconds;
  }
}

@Consumer()
class TokenConsumer extends ApiConsumer {
  constructor(private readonly connections: Connections) {
    super();
  }

  @Action()
  async who({ scope }: ActionContext) {
    return scope.identity ?? null;
  }

  @Action()
  async wait({ signal }: ActionContext) {
    this.sendJson('waiting');
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  @Action()
  async refresh({ scope, kwargs }: ActionContext) {
    const { user, until, session } = kwargs;
    this.connections.refresh(scope, {
      userId: String(user),
      ...(typeof until === 'string' && { expiresAt: new Date(until) }),
      ...(typeof session === 'string' && { sessionId: session }),
    });
    return 'refreshed';
  }
}

const start = new Date('2026-01-01T00:00:00Z');
const at = (milliseconds: number): Date => new Date(start.getTime() + milliseconds);

describe('The expiry of connections', () => {
  const serve = useServer();
  let app: App;
  let clock: SteppedClock;

  beforeEach(() => {
    const { container } = testProviders();
    clock = new SteppedClock();
    container.registerInstance(Clock, clock);
    const limits = { connectionsPerUser: 2_000, handshakesPerSecond: 2_000 };
    ({ app } = serve([path('/', TokenConsumer)], { container, settings: { limits } }));
  });

  /** Once its connect hook has run, and waits for no time limit any more. */
  const open = async (milliseconds?: number): Promise<TestConnection> => {
    const expiresAt = milliseconds === undefined ? {} : { expiresAt: at(milliseconds) };
    const connection = await connect(app, '/', {
      user: { id: 1 },
      identity: { userId: '1', sessionId: 's', ...expiresAt },
    });
    await connection.request('who');
    return connection;
  };
  const lives = async (connection: TestConnection): Promise<boolean> =>
    (await connection.request('who')).response_status === 200;

  it('closes each with 4401 at its second, and no other', async () => {
    await using ann = await open(60_000);
    await using bob = await open(90_000);
    await using eve = await open();
    clock.advance(59_999);
    expect(await lives(ann)).to.equal(true);
    clock.advance(1);
    expect(await ann.closed).to.equal(4401);
    expect(await lives(bob)).to.equal(true);
    clock.advance(30_000);
    expect(await bob.closed).to.equal(4401);
    clock.advance(1_000_000);
    expect(await lives(eve)).to.equal(true);
  });

  it('closes at the end of the second, never before the time is up', async () => {
    await using ann = await open(1_500);
    clock.advance(1_500);
    expect(await lives(ann)).to.equal(true);
    clock.advance(500);
    expect(await ann.closed).to.equal(4401);
  });

  it('answers what runs before it closes', async () => {
    await using ann = await open(5_000);
    ann.send({ action: 'wait', request_id: 3 });
    await ann.receive();
    clock.advance(5_000);
    expect(await ann.receive()).to.deep.equal({
      errors: ['The session has expired.'],
      data: null,
      action: 'wait',
      response_status: 401,
      request_id: 3,
      code: 'session_expired',
    });
    expect(await ann.closed).to.equal(4401);
  });

  for (const [name, expiresAt] of [
    ['is past', at(-1)],
    ['is now', at(0)],
    ['is no date', new Date(Number.NaN)],
  ] as const) {
    it(`refuses a handshake whose end ${name}`, async () => {
      const error = await connect(app, '/', { identity: { userId: '1', expiresAt } }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).to.be.instanceOf(SessionExpired);
    });
  }

  it('needs one timer for a thousand connections, and none for those that never expire', async () => {
    await using _eve = await open();
    const idle = clock.waiting;
    const opened = await Promise.all(Array.from({ length: 1_000 }, (_, index) => open(60_000 + index)));
    expect(clock.waiting).to.equal(idle + 1);
    clock.advance(61_000);
    expect(new Set(await Promise.all(opened.map(({ closed }) => closed)))).to.deep.equal(new Set([4401]));
    await Promise.all(opened.map(({ ended }) => ended));
    expect(clock.waiting).to.equal(idle);
  });

  it('knows times beyond what a timer can count', async () => {
    await using ann = await open(3_000_000_000);
    clock.stand(2_999_900_000);
    clock.advance(99_000);
    expect(await lives(ann)).to.equal(true);
    clock.advance(1_000);
    expect(await ann.closed).to.equal(4401);
  });

  it('follows a clock that is put forward within ten seconds', async () => {
    await using ann = await open(3_600_000);
    clock.put(3_600_000);
    clock.advance(10_000);
    expect(await ann.closed).to.equal(4401);
  });

  it('follows a clock that is put back', async () => {
    await using ann = await open(60_000);
    clock.put(-30_000);
    clock.advance(60_000);
    expect(await lives(ann)).to.equal(true);
    clock.advance(30_000);
    expect(await ann.closed).to.equal(4401);
  });

  it('leaves no timer behind a closed application', async () => {
    await using _ann = await open(60_000);
    await app.close();
    expect(clock.waiting).to.equal(0);
  });

  describe('may be put off by a refresh', () => {
    it('that leaves the connection open, in the same session', async () => {
      await using ann = await open(60_000);
      clock.advance(50_000);
      const until = at(120_000).toISOString();
      expect(await ann.request('refresh', { user: 1, until })).to.include({ data: 'refreshed' });
      clock.advance(60_000);
      expect((await ann.request('who')).data).to.deep.equal({ userId: '1', sessionId: 's', expiresAt: until });
      clock.advance(10_000);
      expect(await ann.closed).to.equal(4401);
    });

    it('that brings the end nearer', async () => {
      await using ann = await open(60_000);
      await ann.request('refresh', { user: 1, until: at(10_000).toISOString() });
      clock.advance(10_000);
      expect(await ann.closed).to.equal(4401);
    });

    it('of the same user only: 403, and the connection stays what it was until its time is up', async () => {
      await using ann = await open(60_000);
      const until = at(120_000).toISOString();
      expect(await ann.request('refresh', { user: 2, until })).to.deep.include({
        response_status: 403,
        errors: ['The credentials belong to another user.'],
      });
      expect((await ann.request('who')).data).to.include({ userId: '1' });
      clock.advance(60_000);
      expect(await ann.closed).to.equal(4401);
    });

    it('not where no user is logged in', async () => {
      await using ann = await connect(app, '/');
      expect(await ann.request('refresh', { user: 1 })).to.include({ response_status: 403 });
    });

    it('not by a token that has expired', async () => {
      await using ann = await open(60_000);
      const until = at(-1).toISOString();
      expect(await ann.request('refresh', { user: 1, until })).to.include({
        response_status: 401,
        code: 'session_expired',
      });
      expect(await lives(ann)).to.equal(true);
    });

    it('not once the time is up', async () => {
      await using ann = await open(60_500);
      clock.advance(60_700);
      const until = at(120_000).toISOString();
      expect(await ann.request('refresh', { user: 1, until })).to.include({ code: 'session_expired' });
      clock.advance(300);
      expect(await ann.closed).to.equal(4401);
    });
  });
});
