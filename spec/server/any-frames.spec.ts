import { expect } from 'chai';
import { Type } from 'class-transformer';
import { IsOptional, IsString, ValidateNested } from 'class-validator';
import fc from 'fast-check';
import { Action, type App, Consumer, createApp, demultiplexer, path } from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { BellObserver } from '../support/bells.js';
import { patience } from '../support/deadline.js';
import { memoryHeld } from '../support/memory.js';
import { offlineOrm } from '../support/offline-orm.js';
import { checkAsyncProperty } from '../support/properties.js';
import { testProviders } from '../support/providers.js';
import { RawWebSocket } from '../support/raw-web-socket.js';
import { anyBytes, spoiltFrom } from '../support/spoilt-frames.js';

class Inner {
  @IsOptional() @IsString() name?: string;
}

class Words {
  @IsOptional() @IsString() text?: string;
  @IsOptional() @ValidateNested({ each: true }) @Type(() => Inner) parts?: Inner[];
}

@Consumer()
class WordConsumer extends BellObserver {
  @Action()
  async echo(words: Words) {
    return words;
  }

  @Action({ detached: true })
  async detached() {
    return 'done';
  }
}

/** Frames as clients send them, which the specs then spoil. */
const valid = [
  '{"action":"echo","request_id":1,"text":"a"}',
  '{"action":"echo","request_id":"b","parts":[{"name":"c"},{}]}',
  '{"action":"detached","request_id":2}',
  '{"action":"listen","request_id":3}',
  '{"action":"cancel","request_id":4,"target":1}',
  '{"action":"unsubscribe","request_id":5,"target":3}',
  '{"action":"ping","request_id":6}',
];
const enveloped = valid.map((payload) => `{"stream":"words","payload":${payload}}`);

describe('Any frame', () => {
  const boundless = 1_000_000;
  let app: App;
  let port: number;
  let logger: MemoryLogger;

  before(async () => {
    const providers = testProviders();
    ({ logger } = providers);
    app = createApp({
      orm: await offlineOrm(),
      container: providers.container,
      routes: [path('/', WordConsumer), path('/many/', demultiplexer({ words: WordConsumer }))],
      settings: {
        limits: {
          messageBurst: boundless,
          bytesPerSecond: boundless * 1_000,
          errorsPerMinute: boundless,
          addressHandshakeBurst: boundless,
          handshakesPerSecond: boundless,
          waitingRequests: boundless,
        },
      },
    });
    ({ port } = await app.listen({ host: '127.0.0.1' }));
  });
  after(() => app.close());
  afterEach(() => {
    expect(logger.entries.filter(({ level }) => level === 'warn' || level === 'error')).to.deep.equal([]);
    expect(Object.prototype).not.to.have.property('admin');
  });

  /** One frame for one frame. */
  async function expectAnswer(client: TestConnection, text: string): Promise<void> {
    client.sendText(text);
    const answer: object = await client.receive({ timeout: patience });
    const frame = 'payload' in answer ? (answer.payload as object) : answer;
    expect(frame, text).to.have.property('response_status').that.is.oneOf([200, 201, 204, 400, 403, 404, 405, 429]);
    client.sendText('{"action":"ping","request_id":"alive"}');
    const pong = await client.receive({ timeout: patience });
    expect(JSON.stringify(pong), text).to.include('"request_id":"alive"');
  }

  for (const [route, frames] of [
    ['/', valid],
    ['/many/', enveloped],
  ] as const) {
    it(`that is spoilt is answered with one frame, and the socket lives on (${route})`, async function () {
      this.timeout(0);
      const client = await connect(app, route);
      await checkAsyncProperty(
        fc.asyncProperty(spoiltFrom(frames), (text) => expectAnswer(client, text)),
        300,
      );
      client.close();
      await client.ended;
    });
  }

  it('of any bytes ends with its client at the latest, and no other is disturbed', async function () {
    this.timeout(0);
    await using other = await connect(app, '/');
    const start = memoryHeld();
    const run = async (parts: readonly Buffer[]): Promise<void> => {
      using client = await RawWebSocket.open(port, '/');
      for (const part of parts) client.write(part);
      client.end();
      await client.rest();
      expect(await other.request('echo', { text: 'a' }, { timeout: patience })).to.include({ response_status: 200 });
    };
    await checkAsyncProperty(fc.asyncProperty(fc.array(anyBytes(valid), { minLength: 1, maxLength: 6 }), run), 100);
    expect(memoryHeld() - start).to.be.below(20_000_000);
  });
});
