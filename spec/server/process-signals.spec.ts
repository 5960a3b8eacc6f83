import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { within } from '../support/deadline.js';
import { SocketClient } from '../support/sockets.js';

const program = new URL('../support/ending-process.js', import.meta.url);

describe('A process that ends on signals', () => {
  let child: ChildProcess;
  let port: number;

  beforeEach(async () => {
    child = fork(program, { silent: true });
    ({ port } = await message<{ port: number }>());
  });
  afterEach(() => child.kill('SIGKILL'));

  async function message<T>(): Promise<T> {
    const [first] = await within(once(child, 'message'), 'A message of the process', 8_000);
    return first as T;
  }

  async function exit(): Promise<unknown> {
    const [code, signal] = await within(once(child, 'exit'), 'The end of the process', 8_000);
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

  it('waits for nobody when it is interrupted', async () => {
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
});
