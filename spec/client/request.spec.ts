import { expect } from 'chai';
import { type Client, type ClientOptions, type RequestOptions, SignalboxError } from 'signalbox/client';
import { FakeNetwork, type FakeSocket, settled } from './fake-network.js';

type Outcome = { readonly data: unknown } | { readonly error: unknown };

describe('A request of a client', () => {
  let network: FakeNetwork;
  let client: Client<object>;
  let socket: FakeSocket;
  let outcomes: Outcome[];
  beforeEach(() => {
    network = new FakeNetwork();
    outcomes = [];
  });
  afterEach(() => client.$close());

  async function start(options: ClientOptions = {}): Promise<void> {
    client = network.createClient({ heartbeat: 0, ...options });
    socket = await network.open();
  }

  function ask(options?: RequestOptions, action = 'list'): void {
    const place = outcomes.length;
    outcomes.push({ data: 'none yet' });
    client.$request(null, { action }, options).then(
      (data) => {
        outcomes[place] = { data };
      },
      (error: unknown) => {
        outcomes[place] = { error };
      },
    );
  }

  const codes = (): unknown[] =>
    outcomes.map((outcome) => ('error' in outcome ? (outcome.error as SignalboxError).code : outcome.data));
  const errors = (): unknown[] => outcomes.map((outcome) => ('error' in outcome ? outcome.error : undefined));

  async function comeBack(code = 1006): Promise<void> {
    network.random = 0;
    network.socket.drop(code);
    await network.advance(0);
    socket = await network.open();
    await settled();
  }

  it('is one frame, and its reply whichever comes first', async () => {
    await start();
    ask();
    ask({}, 'retrieve');
    expect(socket.sent).to.deep.equal([
      { action: 'list', request_id: 1 },
      { action: 'retrieve', request_id: 2 },
    ]);
    socket.reply('two', { id: 2 });
    socket.reply('one', { id: 1 });
    socket.reply('twice', { id: 1 });
    await settled();
    expect(outcomes).to.deep.equal([{ data: 'one' }, { data: 'two' }]);
  });

  it('rejects with what an error says', async () => {
    await start();
    ask();
    socket.receive({
      errors: [{ name: ['Too long.', 'No.'] }, 'Sorry.'],
      data: { retry_after_ms: 250 },
      action: 'list',
      response_status: 503,
      request_id: 1,
      code: 'server_closing',
    });
    await settled();
    expect(errors()[0]).to.be.instanceOf(SignalboxError);
    expect(errors()[0]).to.deep.include({
      message: 'name: Too long. No. Sorry.',
      errors: [{ name: ['Too long.', 'No.'] }, 'Sorry.'],
      status: 503,
      code: 'server_closing',
      action: 'list',
      requestId: 1,
      isRetryable: true,
      maybeExecuted: true,
      retryAfter: 250,
    });
  });

  for (const [status, maybeExecuted] of [
    [400, false],
    [404, false],
    [429, false],
    [499, true],
    [500, true],
    [503, true],
    [504, true],
  ] as const) {
    it(`${maybeExecuted ? 'may' : 'does not'} have happened where the answer is ${status}`, async () => {
      await start();
      ask();
      socket.reply(null, { status });
      await settled();
      expect(errors()[0]).to.include({ status, maybeExecuted, code: 'error' });
    });
  }

  for (const [code, data] of [
    ['unavailable', { retry_after_ms: 250 }],
    ['outcome_unknown', null],
  ] as const) {
    it(`is sent again by choice where the database failed it (${code})`, async () => {
      await start();
      ask();
      ask({ retry: true });
      for (const id of [1, 2]) socket.reply(data, { status: 503, code, id });
      await settled();
      expect(errors()[0]).to.include({ status: 503, code, isRetryable: true, maybeExecuted: true });
      await network.advance(3_000);
      expect(socket.sent.map((frame) => frame['request_id'])).to.deep.equal([1, 2, 2]);
    });
  }

  it('waits for its turn while the client is away, each with its own time limit', async () => {
    await start();
    socket.drop();
    ask();
    ask({ timeout: 1 });
    ask();
    await network.advance(1);
    expect(errors()[1]).to.include({ code: 'timeout', maybeExecuted: false, message: 'list: timeout' });
    await network.advance(3_000);
    socket = await network.open();
    expect(socket.sent.map((frame) => frame['request_id'])).to.deep.equal([1, 3]);
  });

  it('is refused where too many wait', async () => {
    await start({ maxQueue: 2 });
    ask();
    socket.drop();
    for (let count = 0; count < 3; count++) ask();
    await settled();
    expect(codes()).to.deep.equal(['connection_lost', 'none yet', 'none yet', 'queue_full']);
    expect(errors()[3]).to.include({ maybeExecuted: false, isRetryable: true });
  });

  it('is one of a hundred that wait, unless it is said otherwise', async () => {
    await start();
    socket.drop();
    for (let count = 0; count < 101; count++) ask();
    await settled();
    expect(codes().filter((code) => code === 'queue_full')).to.have.length(1);
    await network.advance(3_000);
    expect((await network.open()).sent).to.have.length(100);
  });

  it('settles when the connection is lost, and says that it may have happened', async () => {
    await start();
    ask();
    socket.drop();
    await settled();
    expect(errors()[0]).to.include({ code: 'connection_lost', status: 0, maybeExecuted: true, isRetryable: true });
  });

  it('is sent again by choice, at most three times, with its id', async () => {
    await start();
    ask({ retry: true, timeout: 0 });
    for (let count = 0; count < 3; count++) {
      await comeBack();
      expect(socket.sent).to.deep.equal([{ action: 'list', request_id: 1 }]);
    }
    expect(codes()).to.deep.equal(['none yet']);
    socket.drop();
    await settled();
    expect(codes()).to.deep.equal(['connection_lost']);
  });

  it('is sent as often as the options say', async () => {
    await start({ maxRetries: 1 });
    ask({ retry: true, timeout: 0 });
    await comeBack();
    socket.drop();
    await settled();
    expect(codes()).to.deep.equal(['connection_lost']);
  });

  it('is sent again when a throttling server says, whether or not it may be repeated: it has not begun', async () => {
    await start();
    ask({ retry: true });
    ask({ timeout: 300 });
    socket.reply({ retry_after_ms: 250 }, { status: 429, code: 'throttled', id: 1 });
    socket.reply({ retry_after_ms: 250 }, { status: 429, code: 'throttled', id: 2 });
    await network.advance(249);
    expect(socket.sent).to.have.length(2);
    await network.advance(1);
    expect(socket.sent.slice(2)).to.deep.equal([
      { action: 'list', request_id: 1 },
      { action: 'list', request_id: 2 },
    ]);
    socket.reply('done', { id: 1 });
    await network.advance(50);
    expect(codes()).to.deep.equal(['done', 'timeout']);
  });

  it('is not sent again where it ended while it waited for that', async () => {
    await start();
    ask({ retry: true, timeout: 100 });
    socket.reply({ retry_after_ms: 250 }, { status: 429, code: 'throttled', id: 1 });
    await network.advance(250);
    expect([codes(), socket.sent.length]).to.deep.equal([['timeout'], 1]);
  });

  it('says that it may have happened where it ends while it waits to be sent again', async () => {
    await start();
    ask({ retry: true, timeout: 100 });
    ask({ retry: true });
    ask({ retry: true });
    socket.reply({ retry_after_ms: 250 }, { status: 503, code: 'server_closing', id: 3 });
    network.random = 1;
    socket.drop();
    await network.advance(100);
    client.$close();
    await settled();
    expect(errors().map((error) => [(error as SignalboxError).code, (error as SignalboxError).maybeExecuted])).to.eql([
      ['timeout', true],
      ['closed', true],
      ['closed', true],
    ]);
  });

  it('says that it never happened where it was not sent', async () => {
    await start();
    socket.drop();
    network.random = 1;
    ask({ timeout: 100 });
    ask();
    await network.advance(100);
    client.$close();
    ask();
    await settled();
    expect(errors().map((error) => [(error as SignalboxError).code, (error as SignalboxError).maybeExecuted])).to.eql([
      ['timeout', false],
      ['closed', false],
      ['closed', false],
    ]);
  });

  it('is not taken for the drain of the server where its action has that name', async () => {
    await start();
    ask({ timeout: 100 }, 'drain');
    await network.advance(100);
    const late = { data: null, errors: ['The request was cancelled.'], code: 'cancelled' };
    socket.receive({ ...late, action: 'drain', response_status: 499, request_id: 1 });
    ask();
    expect(socket.last).to.include({ action: 'list' });
  });

  it('is not sent again where a throttling server names no time, because waiting does not help', async () => {
    await start();
    ask({ retry: true });
    socket.reply(null, { status: 429, code: 'throttled' });
    await settled();
    expect(errors()[0]).to.include({ code: 'throttled', isRetryable: false, maybeExecuted: false });
  });

  it('is cancelled on the server when its time is over', async () => {
    await start();
    ask();
    await network.advance(30_000);
    expect(errors()[0]).to.include({ code: 'timeout', maybeExecuted: true });
    expect(socket.sent).to.deep.equal([
      { action: 'list', request_id: 1 },
      { action: 'cancel', target: 1, request_id: 2 },
    ]);
    socket.reply('late', { id: 1 });
    expect(client.$status).to.equal('open');
  });

  it('takes its time limit from the client, and 0 for none', async () => {
    await start({ timeout: 10 });
    ask();
    ask({ timeout: 0 });
    await network.advance(3_600_000);
    expect(codes()).to.deep.equal(['timeout', 'none yet']);
  });

  it('begins its time anew with every part', async () => {
    await start();
    ask();
    for (let count = 0; count < 3; count++) {
      await network.advance(29_999);
      socket.reply(count, { status: 206, id: 1 });
    }
    socket.reply('done', { id: 1 });
    await settled();
    expect(codes()).to.deep.equal(['done']);
  });

  it('is aborted with the reason of its signal, here at once and on the server', async () => {
    await start();
    const abort = new AbortController();
    ask({ signal: abort.signal });
    abort.abort('enough');
    await settled();
    expect(outcomes).to.deep.equal([{ error: 'enough' }]);
    expect(socket.last).to.deep.equal({ action: 'cancel', target: 1, request_id: 2 });
  });

  it('is not sent with a signal that is aborted already, or aborted while it waited', async () => {
    await start();
    ask({ signal: AbortSignal.abort('before') });
    socket.drop();
    const abort = new AbortController();
    ask({ signal: abort.signal });
    abort.abort('meanwhile');
    await network.advance(3_000);
    socket = await network.open();
    expect([outcomes, socket.sent]).to.deep.equal([[{ error: 'before' }, { error: 'meanwhile' }], []]);
  });

  it('rejects at once while the client is stopped, and goes through after it came back', async () => {
    await start();
    socket.drop(4403);
    ask();
    await settled();
    expect(codes()).to.deep.equal(['stopped']);
    client.$reconnect();
    ask();
    expect((await network.open()).sent).to.deep.equal([{ action: 'list', request_id: 2 }]);
  });

  it('says of what is no JSON that it is none', async () => {
    await start();
    expect(() => client.$request(null, { action: 'list', pk: 1n })).to.throw(TypeError, 'BigInt');
  });

  it('is wrapped where it has a stream', async () => {
    await start();
    void client.$request('rooms', { action: 'list' });
    expect(socket.sent).to.deep.equal([{ stream: 'rooms', payload: { action: 'list', request_id: 1 } }]);
  });

  it('leaves frames of no request to the listeners', async () => {
    await start();
    const heard: unknown[] = [];
    const stop = client.$onFrame((payload, stream) => heard.push([stream, payload]));
    socket.receive({ stream: 'rooms', payload: { shouted: 'hi' } });
    socket.receive('text');
    socket.onmessage?.({ data: 'no JSON' });
    socket.reply('late', { id: 7 });
    stop();
    socket.receive({ shouted: 'unheard' });
    expect(heard).to.deep.equal([
      ['rooms', { shouted: 'hi' }],
      [null, 'text'],
      [null, 'no JSON'],
    ]);
  });

  describe('with parts', () => {
    type Call = AsyncIterable<unknown, unknown> & PromiseLike<unknown>;
    let call: Call;
    beforeEach(async () => {
      await start();
      call = client.$request(null, { action: 'count' }) as Call;
    });

    it('gives them in order, also those that came before anybody looked, and returns the reply', async () => {
      socket.reply(1, { status: 206 });
      const parts = call[Symbol.asyncIterator]();
      socket.reply(2, { status: 206 });
      expect(await parts.next()).to.deep.equal({ done: false, value: 1 });
      expect(await parts.next()).to.deep.equal({ done: false, value: 2 });
      const end = parts.next();
      await settled();
      socket.reply('done');
      expect(await end).to.deep.equal({ done: true, value: 'done' });
      expect(await call).to.equal('done');
    });

    it('throws in the loop what the request failed with, after the parts', async () => {
      const parts = call[Symbol.asyncIterator]();
      socket.reply(1, { status: 206 });
      socket.drop();
      expect(await parts.next()).to.deep.equal({ done: false, value: 1 });
      expect(await parts.next().catch((error: SignalboxError) => error.code)).to.equal('connection_lost');
    });

    it('is cancelled when the loop is left', async () => {
      socket.reply(1, { status: 206 });
      for await (const part of call) {
        expect(part).to.equal(1);
        break;
      }
      expect(socket.last).to.deep.equal({ action: 'cancel', target: 1, request_id: 2 });
      expect(await call.then(null, (error: SignalboxError) => error.code)).to.equal('cancelled');
    });

    it('is not sent again after a part, which would come twice', async () => {
      const again = client.$request(null, { action: 'count' }, { retry: true }) as Call;
      const failed = again.then(null, (error: SignalboxError) => error.code);
      call.then(null, () => {});
      socket.reply(1, { status: 206 });
      socket.drop();
      expect(await failed).to.equal('connection_lost');
    });
  });
});
