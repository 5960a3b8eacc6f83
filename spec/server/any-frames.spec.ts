import { expect } from 'chai';
import { Type } from 'class-transformer';
import { IsOptional, IsString, ValidateNested } from 'class-validator';
import fc from 'fast-check';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  demultiplexer,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { offlineOrm } from '../support/offline-orm.js';
import { checkAsyncProperty } from '../support/properties.js';
import { testProviders } from '../support/providers.js';
import { closeBytes, frameBytes, RawWebSocket } from '../support/raw-web-socket.js';

class Rang {
  @IsString() bell!: string;
}

class Inner {
  @IsOptional() @IsString() name?: string;
}

class Words {
  @IsOptional() @IsString() text?: string;
  @IsOptional() @ValidateNested({ each: true }) @Type(() => Inner) parts?: Inner[];
}

const rang = new Signal<Rang>();

@Consumer()
class WordConsumer extends ApiConsumer {
  @Action()
  async echo(words: Words) {
    return words;
  }

  @Action({ detached: true })
  async detached() {
    return 'done';
  }

  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onRang, {}, context);
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<object>) {
    await subscription.send(event);
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

const tokens = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u005f_proto__', '\\ud800', '"__proto__":', '"action":"echo",'],
  ...[
    '"request_id":null,',
    '"stream":"words",',
    '"payload":{',
    '1e400',
    '-0',
    '9007199254740993',
    'null',
    '\u0000',
    '\u2028',
  ],
  ...['['.repeat(40), '"constructor":{"prototype":', '"then"', '{"toString":1}', ' ', '\u{1f600}', '0'],
];

interface Spoiling {
  readonly at: number;
  readonly length: number;
  readonly put: string;
}

/** Cuts some signs out and puts others in, or a JSON value in the place of another. */
function spoil(frame: string, { at, length, put }: Spoiling): string {
  const start = Math.floor(at * frame.length);
  return frame.slice(0, start) + put + frame.slice(start + length);
}

function replaceValue(frame: string, at: number, value: string): string {
  const values = [...frame.matchAll(/(?<=:)("[^"]*"|\d+|\[[^\]]*\])/g)];
  const { index = 0, 0: old = '' } = values[Math.floor(at * values.length)] ?? {};
  return frame.slice(0, index) + value + frame.slice(index + old.length);
}

const at = fc.double({ min: 0, max: 0.999, noNaN: true });
const spoiling = fc.record({
  at,
  length: fc.integer({ min: 0, max: 6 }),
  put: fc.oneof(fc.constantFrom('', ...tokens), fc.string({ maxLength: 4 })),
});
const spoiltFrom = (frames: readonly string[]) =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...frames), fc.array(spoiling, { maxLength: 4 }))
      .map(([frame, all]) => all.reduce(spoil, frame)),
    fc
      .tuple(fc.constantFrom(...frames), at, fc.json({ maxDepth: 4 }))
      .map(([frame, place, json]) => replaceValue(frame, place, json)),
    fc.json(),
  );

const bits = fc.record({
  fin: fc.boolean(),
  reserved: fc.constantFrom(0, 0, 0, 4, 1),
  opcode: fc.constantFrom(0, 1, 1, 1, 2, 3, 8, 9, 10, 11),
  isMasked: fc.constantFrom(true, true, true, false),
});
const bytes = fc.oneof(
  fc.constantFrom(...valid).map((text) => frameBytes(text)),
  fc.tuple(fc.constantFrom(...valid, ''), bits).map(([text, some]) => frameBytes(text, some)),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), bits)
    .map(([length, some]) => frameBytes('x', { ...some, length, lengthBytes: 8 })),
  fc.integer({ min: 0, max: 5_000 }).map((code) => closeBytes(code)),
  fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some)),
  fc.tuple(fc.constantFrom(...valid), at, fc.nat(255)).map(([text, place, byte]) => {
    const frame = frameBytes(text);
    frame[Math.floor(place * frame.length)] = byte;
    return frame;
  }),
);

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

  /** One frame for one frame, each within a second. */
  async function expectAnswer(client: TestConnection, text: string): Promise<void> {
    client.sendText(text);
    const answer: object = await client.receive({ timeout: 1_000 });
    const frame = 'payload' in answer ? (answer.payload as object) : answer;
    expect(frame, text).to.have.property('response_status').that.is.oneOf([200, 201, 204, 400, 403, 404, 405, 429]);
    client.sendText('{"action":"ping","request_id":"alive"}');
    const pong = await client.receive({ timeout: 1_000 });
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
    const start = process.memoryUsage().rss;
    const run = async (parts: readonly Buffer[]): Promise<void> => {
      using client = await RawWebSocket.open(port, '/');
      for (const part of parts) client.write(part);
      client.end();
      await client.rest(1_000);
      expect(await other.request('echo', { text: 'a' }, { timeout: 1_000 })).to.include({ response_status: 200 });
    };
    await checkAsyncProperty(fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 6 }), run), 100);
    expect(process.memoryUsage().rss - start).to.be.below(200_000_000);
  });
});
