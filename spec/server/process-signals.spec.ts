import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { ConfigurationError, path } from 'signalbox';
import { within } from '../support/deadline.js';
import { type Served, SilentConsumer, useServer } from '../support/serving.js';
import { SocketClient } from '../support/sockets.js';

const program = new URL('../support/ending-process.js', import.meta.url);

describe('The time in which a process ends', () => {
  const { exit: exitOfProcess } = process;
  const serve = useServer();
  let exits: unknown[];

  beforeEach(() => {
    exits = [];
    process.exit = ((code: unknown) => exits.push(code)) as typeof process.exit;
  });
  afterEach(() => {
    process.exit = exitOfProcess;
  });

  function open(timeLimit?: number): Served {
    const drain = timeLimit === undefined ? {} : { timeLimit };
    return serve([path('/', SilentConsumer)], { settings: { drain } });
  }

  for (const [what, limit, time] of [
    ['30 s', undefined, 30_000],
    ['2 s more than a drain may take', 60_000, 62_000],
  ] as const) {
    it(`is ${what}`, () => {
      const { app, clock } = open(limit);
      const stop = app.closeOnSignals({ after: () => new Promise(() => {}) });
      process.emit('SIGTERM');
      stop();
      clock.advance(time - 1);
      expect(exits).to.deep.equal([]);
      clock.advance(1);
      expect(exits).to.deep.equal([1]);
    });
  }

  it('is refused where it is not above that of a drain', () => {
    const { app } = open();
    const listeners = process.listenerCount('SIGTERM');
    const sentence =
      'closeOnSignals.exitWithin: is 28000, and drain.timeLimit is 28000: the process would exit before its drain is over. ' +
      'Give more than drain.timeLimit, or lower that: settings: { drain: { timeLimit } }.';
    expect(() => app.closeOnSignals({ exitWithin: 28_000 })).to.throw(ConfigurationError, sentence);
    expect(() => app.closeOnSignals({ exitWithin: Number.NaN })).to.throw(ConfigurationError, 'is NaN,');
    expect(process.listenerCount('SIGTERM')).to.equal(listeners);
    app.closeOnSignals({ exitWithin: 28_001 })();
  });
});

/** In milliseconds. A process loads all of Signalbox, on a busy machine. */
const TIME_TO_START = 60_000;

describe('A process that ends on signals', function () {
  this.timeout(2 * TIME_TO_START);
  let child: ChildProcess;
  let port: number;

  beforeEach(async () => {
    child = fork(program, { silent: true });
    ({ port } = await message<{ port: number }>());
  });
  afterEach(() => child.kill('SIGKILL'));

  async function message<T>(): Promise<T> {
    const [first] = await within(once(child, 'message'), 'A message of the process', TIME_TO_START);
    return first as T;
  }

  async function exit(): Promise<unknown> {
    const [code, signal] = await within(once(child, 'exit'), 'The end of the process');
    return code ?? signal;
  }

  async function working(): Promise<SocketClient> {
    const ann = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const began = message();
    ann.send({ action: 'work', request_id: 1 });
    await began;
    return ann;
  }

  it('answers what is under way when it is told to terminate, and exits with 0', async () => {
    await using ann = await working();
    const ended = exit();
    child.kill('SIGTERM');
    expect(await ann.receive()).to.include({ action: 'drain', response_status: 503 });
    const told = message();
    child.send('go on');
    expect(await ann.receive()).to.include({ action: 'work', data: 'done' });
    expect(await ann.closed).to.equal(1012);
    expect(await told).to.deep.equal({ hasEnded: true });
    expect(await ended).to.equal(0);
  });

  it('waits for no request when it is interrupted', async () => {
    await using ann = await working();
    const ended = exit();
    child.kill('SIGINT');
    expect(await ann.receive()).to.include({ action: 'work', response_status: 503 });
    expect(await ann.closed).to.equal(1001);
    expect(await ended).to.equal(0);
  });

  it('exits with 1 at the second signal', async () => {
    await using ann = await working();
    const ended = exit();
    child.kill('SIGTERM');
    expect(await ann.receive()).to.include({ action: 'drain' });
    child.kill('SIGTERM');
    expect(await ended).to.equal(1);
  });

  it('answers what is under way when a rejected promise is not handled, and exits with 1', async () => {
    await using ann = await working();
    await using bob = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const ended = exit();
    bob.send({ action: 'forget', request_id: 2 });
    expect(await bob.receive()).to.include({ action: 'forget', data: 'forgotten' });
    expect(await ann.receive()).to.include({ action: 'drain', response_status: 503 });
    child.send('go on');
    expect(await ann.receive()).to.include({ action: 'work', data: 'done' });
    expect(await ann.closed).to.equal(1012);
    expect(await ended).to.equal(1);
  });

  it('goes on draining when it is told to terminate after such a rejection', async () => {
    await using ann = await working();
    await using bob = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    const ended = exit();
    bob.send({ action: 'forget', request_id: 2 });
    expect(await ann.receive()).to.include({ action: 'drain' });
    child.kill('SIGTERM');
    child.send('go on');
    expect(await ann.receive()).to.include({ action: 'work', data: 'done' });
    expect(await ended).to.equal(1);
  });
});
