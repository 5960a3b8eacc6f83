import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, type App, Clock, Consumer, type Limits, path } from 'signalbox';
import { connect, type MemoryLogger, TestClock } from 'signalbox/testing';
import { until, within } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { testProviders } from '../support/providers.js';
import { closeBytes, frameBytes, RawWebSocket } from '../support/raw-web-socket.js';
import { useServer } from '../support/serving.js';

class FailingClock extends TestClock {
  /** How many more calls succeed. */
  left = Number.POSITIVE_INFINITY;
  /** How many calls fail then. */
  failures = Number.POSITIVE_INFINITY;

  get hasFailed(): boolean {
    return this.left <= 0;
  }

  repair(): void {
    this.left = Number.POSITIVE_INFINITY;
  }

  override now(): Date {
    this.#call();
    return super.now();
  }

  override elapsed(): number {
    this.#call();
    return super.elapsed();
  }

  override after(...given: Parameters<Clock['after']>): ReturnType<Clock['after']> {
    this.#call();
    return super.after(...given);
  }

  #call(): void {
    this.left -= 1;
    if (this.left < 0 && this.left >= -this.failures) throw new Error('The clock has stopped.');
  }
}

let left: number[];

@Consumer({ binary: true })
class TalkConsumer extends ApiConsumer {
  @Action() async hello() {
    return 'hello';
  }

  @Action({ timeLimit: 10 }) async dawdle({ signal }: ActionContext) {
    await once(signal, 'abort');
  }

  @Action() async fail() {
    throw new Error('It fails.');
  }

  protected override onBinary(): void {
    this.sendJson({ binary: true });
  }

  protected override onDisconnect(code: number): void {
    left.push(code);
  }
}

describe('A clock of the application that fails', () => {
  const serve = useServer();
  let app: App;
  let clock: FailingClock;
  let logger: MemoryLogger;

  function open(limits: Partial<Limits> = {}): void {
    const { container, logger: log } = testProviders();
    logger = log;
    clock = new FailingClock();
    container.registerInstance(Clock, clock);
    ({ app } = serve([path('/', TalkConsumer)], { container, settings: { limits } }));
  }

  const failures = (): unknown[] => logger.at('error').filter(({ message }) => message === 'The clock failed.');

  beforeEach(() => {
    left = [];
    open();
  });

  it('stops no connection: frames of each kind are answered, and it is logged once', async () => {
    await using client = await connect(app, '/');
    clock.left = 0;
    expect(await client.request('hello')).to.include({ response_status: 200 });
    expect(await client.request('fail')).to.include({ response_status: 500 });
    expect(await client.request('nothing')).to.include({ response_status: 405 });
    client.sendText('nul');
    expect(await client.receive()).to.include({ response_status: 400 });
    client.sendBinary(new Uint8Array(1));
    expect(await client.receive()).to.deep.equal({ binary: true });
    await using late = await connect(app, '/');
    expect(await late.request('hello')).to.include({ response_status: 200 });
    expect(failures()).to.have.length(1);
    clock.repair();
    expect(await client.request('hello')).to.include({ response_status: 200 });
  });

  it('leaves time limits to the clock of the machine', async () => {
    await using client = await connect(app, '/');
    clock.left = 0;
    expect(await client.request('dawdle')).to.include({ response_status: 504 });
  });

  it('stops no request, whichever of its calls fails', async () => {
    let calls = 0;
    do {
      open();
      await using client = await connect(app, '/');
      clock.left = calls;
      clock.failures = 1;
      for (const action of ['hello', 'fail', 'hello']) {
        const status = action === 'fail' ? 500 : 200;
        expect(await client.request(action), `call ${calls}`).to.include({ response_status: status });
      }
      calls += 1;
    } while (clock.hasFailed);
    expect(calls).to.be.above(5);
  });

  describe('at a socket', () => {
    let server: Server;
    let port: number;

    const listen = async (): Promise<void> => {
      server = createServer();
      app.attach(server);
      port = await listening(server);
    };
    afterEach(() => server.close());

    it('breaks no connection whose client sends pings, or bytes after its close', async () => {
      await listen();
      using client = await RawWebSocket.open(port, '/');
      clock.left = 0;
      client.write(frameBytes('a', { opcode: 9 }));
      expect(await client.answer()).to.deep.equal({ pong: 'a' });
      client.write(Buffer.concat([closeBytes(1000), Buffer.alloc(10_000)]));
      expect(await client.answer()).to.deep.equal({ close: 1000 });
      await until(() => left.length === 1, 'The end');
    });

    it('lets a connection end whose frames wait', async () => {
      open({ messagesPerSecond: 20, messageBurst: 1 });
      await listen();
      using client = await RawWebSocket.open(port, '/');
      client.write(frameBytes(JSON.stringify({ action: 'hello', request_id: 1 })));
      client.write(frameBytes(JSON.stringify({ action: 'hello', request_id: 2 })));
      expect(await client.answer()).to.have.property('text');
      clock.left = 0;
      client.write(closeBytes(1000));
      client.end();
      await within(app.close(), 'The end of the application');
      expect(left).to.have.length(1);
    });
  });
});
