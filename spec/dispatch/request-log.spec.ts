import { expect } from 'chai';
import {
  Action,
  ActionContext,
  type App,
  Clock,
  Consumer,
  Logger,
  NotAuthenticated,
  NotFound,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  Throttled,
  type TraceAttributes,
  Tracer,
  type TraceSpan,
} from 'signalbox';
import { connect, MemoryCounters, TestClock } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import type { LogSettings } from '#signalbox/settings.js';
import { BellObserver, bells } from '../support/bells.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';

class FakeTracer extends Tracer {
  readonly spans: unknown[] = [];

  override run<T>(name: string, attributes: TraceAttributes, work: (span: TraceSpan) => T): T {
    return work({ traceId: 'trace-1', end: (status) => this.spans.push([name, attributes, status]) });
  }
}

/** What a tracer may do wrong, each with the request that it is asked to follow. */
const failing: Readonly<Record<string, Tracer['run']>> = {
  'before its span': () => {
    throw new Error('No collector.');
  },
  'behind its span': (_name, _attributes, work) => {
    work({ traceId: undefined, end: () => {} });
    throw new Error('No collector.');
  },
  'at the end of its span': (_name, _attributes, work) =>
    work({
      traceId: undefined,
      end: () => {
        throw new Error('No collector.');
      },
    }),
};

@Consumer()
@injectable()
class Talking extends BellObserver {
  constructor(
    private readonly logger: Logger,
    private readonly clock: Clock,
  ) {
    super();
  }

  @Action()
  async hello() {
    (this.clock as TestClock).advance(12);
    this.logger.info('Saying hello.', { password: 'hunter2' });
    return 'a secret of the house';
  }

  @Action()
  async fail() {
    throw new NotFound();
  }

  @Action({ detached: true })
  async helloDetached() {
    return this.hello();
  }

  @Action()
  async breakDown() {
    throw new TypeError('Broken.');
  }

  @Action()
  async forbid() {
    throw new PermissionDenied();
  }

  @Action()
  async limit() {
    throw new Throttled();
  }

  @Action()
  async logInFirst() {
    throw new NotAuthenticated();
  }

  @Action()
  async wait() {
    this.sendJson('begun');
    await new Promise(() => {});
  }

  @Action()
  async heed({ signal }: ActionContext) {
    this.sendJson('begun');
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  @Action()
  async *cleanUp() {
    this.sendJson('begun');
    try {
      yield 1;
      await new Promise(() => {});
    } finally {
      await new Promise(() => {});
    }
  }

  @Action()
  async *dawdle({ signal }: ActionContext) {
    this.sendJson('begun');
    try {
      yield 1;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      yield 2;
    } finally {
      await new Promise(() => {});
    }
  }

  @Action()
  async ring() {
    bells.send({ bell: 'front' });
  }
}

class HearsNothing implements Permission {
  canReceive(): boolean {
    return false;
  }
}

@Consumer()
@injectable()
@Permissions(HearsNothing)
class Deaf extends Talking {}

describe('The log of requests', () => {
  const serve = useServer();
  let lines: string[];
  let counters: MemoryCounters;
  let tracer: FakeTracer;
  let clock: TestClock;

  function open(log: Partial<LogSettings> = { actions: 'all' }): App {
    lines = [];
    tracer = new FakeTracer();
    const providers = testProviders();
    ({ clock, counters } = providers);
    const { container } = providers;
    container.registerInstance(Logger, new Logger('info', (line) => lines.push(line)));
    container.registerInstance(Tracer, tracer);
    const routes = [path('/talk/', Talking), path('/deaf/', Deaf)];
    return serve(routes, { container, settings: { development: false, closeTimeout: 100, log } }).app;
  }

  const entries = (): Record<string, unknown>[] =>
    lines.map((line) => {
      const { time: _, ...rest } = JSON.parse(line);
      return rest;
    });

  const facts = { consumer: 'Talking', action: 'hello', requestId: 7, path: '/talk/', user: 3, trace: 'trace-1' };

  it('is one line per action with user, request id, status, duration and trace, and no payload', async () => {
    await using ann = await connect(open(), '/talk/', { user: { id: 3, password: 'hunter2' } });
    await ann.request('hello', { request_id: 7, text: 'private' });
    const [, answered] = entries();
    expect(answered).to.deep.equal({
      level: 'info',
      message: 'An action was answered.',
      ...facts,
      status: 200,
      duration: 12,
    });
    expect(lines.join()).to.not.match(/hunter2|private|secret of/);
  });

  it('tells with every line that an action writes which request it belongs to', async () => {
    await using ann = await connect(open(), '/talk/', { user: { id: 3 } });
    await ann.request('hello', { request_id: 7 });
    expect(entries()[0]).to.deep.equal({ level: 'info', message: 'Saying hello.', ...facts, password: '[redacted]' });
  });

  it('counts actions by status, and traces them, whatever their end', async () => {
    const ann = await connect(open(), '/talk/');
    await ann.request('hello');
    await ann.request('fail');
    await ann.request('made_up_by_the_client');
    ann.send({ action: 'wait', request_id: 1 });
    expect(await ann.receive()).to.equal('begun');
    ann.close();
    await ann.ended;
    expect(counters.count('signalbox.actions', { action: 'hello', status: '200' })).to.equal(1);
    expect(counters.count('signalbox.actions', { action: 'fail', status: '404' })).to.equal(1);
    expect(counters.count('signalbox.actions', { action: 'unknown', status: '405' })).to.equal(1);
    expect(counters.count('signalbox.actions', { action: 'wait', status: 'disconnected' })).to.equal(1);
    const attributes = (action: string) => ({ 'signalbox.consumer': 'Talking', 'signalbox.action': action });
    expect(tracer.spans).to.deep.equal([
      ['Talking hello', attributes('hello'), 200],
      ['Talking fail', attributes('fail'), 404],
      ['Talking unknown', attributes('unknown'), 405],
      ['Talking wait', attributes('wait'), undefined],
    ]);
  });

  it('tells of requests that were cancelled before they ran, and counts them', async () => {
    await using ann = await connect(open(), '/talk/', { user: { id: 3 } });
    ann.send({ action: 'heed', request_id: 1 });
    expect(await ann.receive()).to.equal('begun');
    ann.send({ action: 'hello', request_id: 2 });
    await ann.request('cancel', { target: 2 });
    expect(await ann.reply(2)).to.include({ response_status: 499 });
    expect(entries()).to.deep.equal([
      {
        level: 'info',
        message: 'An action was answered.',
        consumer: 'Talking',
        action: 'hello',
        requestId: 2,
        path: '/talk/',
        user: 3,
        status: 499,
        duration: 0,
        code: 'cancelled',
      },
    ]);
    ann.close();
    await ann.ended;
    expect(counters.count('signalbox.actions', { action: 'hello', status: '499' })).to.equal(1);
    expect(counters.count('signalbox.actions', { action: 'heed', status: 'disconnected' })).to.equal(1);
    expect(tracer.spans.map((span) => (span as unknown[])[0])).to.deep.equal(['Talking heed']);
  });

  for (const action of ['hello', 'wait']) {
    it(`counts what waits when the client leaves, or the server closes: ${action}`, async () => {
      const app = open();
      const ann = await connect(app, '/talk/');
      ann.send({ action: 'heed', request_id: 1 });
      expect(await ann.receive()).to.equal('begun');
      ann.send({ action, request_id: 2 });
      ann.close();
      await ann.ended;
      expect(counters.count('signalbox.actions', { action, status: 'disconnected' })).to.equal(1);
      const bob = await connect(app, '/talk/');
      bob.send({ action: 'heed', request_id: 1 });
      expect(await bob.receive()).to.equal('begun');
      bob.send({ action, request_id: 2 });
      await bob.request('ping');
      await app.close();
      expect(counters.count('signalbox.actions', { action, status: '503' })).to.equal(1);
    });
  }

  for (const action of ['wait', 'clean_up', 'dawdle']) {
    it(`tells of what goes on closeTimeout after it was aborted, once, and counts it: ${action}`, async () => {
      await using ann = await connect(open(), '/talk/');
      ann.send({ action, request_id: 1 });
      expect(await ann.receive()).to.equal('begun');
      await ann.request('cancel', { target: 1 });
      await ann.reply(1);
      await ann.request('fail');
      clock.advance(99);
      const told = () => entries().filter(({ level }) => level === 'warn');
      expect(told()).to.deep.equal([]);
      clock.advance(1);
      expect(told()).to.deep.equal([
        {
          level: 'warn',
          message: 'An action continues after it was aborted: observe context.signal.',
          consumer: 'Talking',
          action,
          requestId: 1,
          path: '/talk/',
          trace: 'trace-1',
        },
      ]);
      clock.advance(60_000);
      expect(counters.count('signalbox.abandoned_actions', { action })).to.equal(1);
    });
  }

  it('tells nothing of what ends when it is aborted', async () => {
    await using ann = await connect(open(), '/talk/');
    ann.send({ action: 'heed', request_id: 1 });
    expect(await ann.receive()).to.equal('begun');
    await ann.request('cancel', { target: 1 });
    await ann.reply(1);
    await ann.request('fail');
    clock.advance(60_000);
    expect(counters.count('signalbox.abandoned_actions', { action: 'heed' })).to.equal(0);
    expect(entries().filter(({ level }) => level === 'warn')).to.deep.equal([]);
  });

  for (const [when, run] of Object.entries(failing)) {
    it(`tells of a tracer that fails ${when}, and each request and event takes its way`, async () => {
      const app = open();
      Object.assign(tracer, { run });
      await using ann = await connect(app, '/talk/');
      expect(await ann.request('listen', { request_id: 1 })).to.include({ response_status: 201 });
      expect(await ann.request('hello')).to.include({ response_status: 200 });
      expect(await ann.request('ring', { request_id: 2 })).to.include({ response_status: 200 });
      expect(await ann.receive()).to.deep.include({ action: 'on_bell', data: { bell: 'front' } });
      const told = entries().filter(({ level }) => level === 'error');
      expect(told.map(({ message }) => message)).to.deep.equal(Array(3).fill('The tracer failed.'));
    });
  }

  it('names no user whose key cannot be read', async () => {
    const user = {
      get id(): number {
        throw new Error('Nobody knows.');
      },
    };
    await using ann = await connect(open(), '/talk/', { user });
    expect(await ann.request('hello')).to.include({ response_status: 200 });
    expect(entries().at(-1)).to.include({ message: 'An action was answered.' }).and.not.have.property('user');
  });

  it('takes no request with it where its clock fails', async () => {
    const app = open();
    await using ann = await connect(app, '/talk/');
    const elapsed = clock.elapsed.bind(clock);
    Object.assign(clock, {
      elapsed: () => {
        Object.assign(clock, { elapsed });
        throw new Error('The clock has stopped.');
      },
    });
    for (const _ of [1, 2]) expect(await ann.request('hello')).to.include({ response_status: 200 });
  });

  describe('in production', () => {
    const answered = (): unknown[] =>
      entries()
        .filter(({ message }) => message === 'An action was answered.')
        .map(({ level, action, status, duration, code, isSlow }) => ({
          level,
          action,
          status,
          duration,
          code,
          isSlow,
        }));

    it('is a line for what failed or was refused, and none for what a client did wrong', async () => {
      await using ann = await connect(open({}), '/talk/');
      for (const action of ['ring', 'fail', 'made_up_by_the_client', 'break_down', 'forbid', 'limit', 'log_in_first'])
        await ann.request(action);
      const line = { duration: 0, isSlow: undefined };
      expect(answered()).to.deep.equal([
        { level: 'warn', action: 'break_down', status: 500, code: 'server_error', ...line },
        { level: 'info', action: 'forbid', status: 403, code: 'permission_denied', ...line },
        { level: 'info', action: 'limit', status: 429, code: 'throttled', ...line },
        { level: 'info', action: 'log_in_first', status: 401, code: 'not_authenticated', ...line },
      ]);
      expect(entries().filter(({ message }) => message === 'An action failed.')).to.have.lengthOf(1);
    });

    it('is a warning for what took as long as the setting says, unless it is detached', async () => {
      await using ann = await connect(open({ slowActionTime: 12 }), '/talk/');
      await ann.request('hello');
      await ann.request('hello_detached');
      const slow = { level: 'warn', action: 'hello', status: 200, duration: 12, code: undefined, isSlow: true };
      expect(answered()).to.deep.equal([slow]);
    });

    it('is none for what took less', async () => {
      await using ann = await connect(open({ slowActionTime: 13 }), '/talk/');
      await ann.request('hello');
      expect(answered()).to.deep.equal([]);
    });

    it('leaves refused deliveries to the counter', async () => {
      await using ann = await connect(open({}), '/deaf/');
      await ann.request('listen', { request_id: 1 });
      await ann.request('ring', { request_id: 2 });
      await ann.expectSilence();
      expect(counters.count('signalbox.refused_deliveries', { observer: 'Deaf.onBell' })).to.equal(1);
      expect(entries()).to.deep.equal([]);
    });

    it('has a line for a refused delivery where all actions have one', async () => {
      await using ann = await connect(open(), '/deaf/', { user: { id: 3 } });
      await ann.request('listen', { request_id: 1 });
      await ann.request('ring', { request_id: 2 });
      await ann.expectSilence();
      const facts = { observer: 'Deaf.onBell', event: 'on_bell', requestId: 1, path: '/deaf/', user: 3 };
      expect(entries().at(-1)).to.deep.equal({ level: 'info', message: 'A delivery was refused.', ...facts });
    });
  });

  it('is silent where the setting says so', async () => {
    await using ann = await connect(open({ actions: false }), '/talk/');
    await ann.request('fail');
    expect(lines).to.deep.equal([]);
  });
});
