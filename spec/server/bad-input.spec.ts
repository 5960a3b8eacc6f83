import { expect } from 'chai';
import {
  Action,
  type App,
  Consumer,
  CursorPaginator,
  createApp,
  List,
  ModelConsumer,
  mix,
  ObserveInstance,
  path,
  Retrieve,
} from 'signalbox';
import type { MemoryLogger } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';
import { closeBytes, frameBytes, RawWebSocket } from '../support/raw-web-socket.js';
import { RoomSerializer } from '../support/rooms.js';
import { RawClient, SocketClient, upgradeRequest } from '../support/sockets.js';

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, paginator: CursorPaginator }),
  List,
  Retrieve,
  ObserveInstance,
) {
  @Action()
  async greet() {
    return 'hello';
  }
}

const greeting = '{"action":"greet","request_id":1}';
const greeted = '{"errors":[],"data":"hello","action":"greet","response_status":200,"request_id":1}';
const text = (content: string): Buffer => frameBytes(content);

/** A greeting of exactly so many bytes. */
function greetingOf(size: number): string {
  const start = `{"action":"greet","request_id":1,"a":"${'x'.repeat(32_760)}","b":"`;
  return `${start}${'x'.repeat(size - start.length - 2)}"}`;
}

const fragments = (count: number, content: string): Buffer[] =>
  Array.from({ length: count }, (_, index) =>
    frameBytes(index === 0 ? content : '', { opcode: index === 0 ? 1 : 0, fin: index === count - 1 }),
  );

/** What is asked of the server, and the code of the close that answers it, or the text of a frame. */
type Row = readonly [number: number, what: string, bytes: Buffer | readonly Buffer[], answer: number | string];

const frames: readonly Row[] = [
  [1, 'an unmasked frame', frameBytes(greeting, { isMasked: false }), 1002],
  [2, 'RSV1 without compression', frameBytes(greeting, { reserved: 4 }), 1002],
  [3, 'RSV2', frameBytes(greeting, { reserved: 2 }), 1002],
  [3, 'RSV3', frameBytes(greeting, { reserved: 1 }), 1002],
  [4, 'opcode 0x3', frameBytes(greeting, { opcode: 3 }), 1002],
  [5, 'opcode 0xB', frameBytes(greeting, { opcode: 11 }), 1002],
  [6, 'a continuation of nothing', frameBytes(greeting, { opcode: 0 }), 1002],
  [7, 'a new message inside of another', [frameBytes('{', { fin: false }), text(greeting)], 1002],
  [8, 'a fragmented ping', frameBytes('a', { opcode: 9, fin: false }), 1002],
  [9, 'a ping of 126 bytes', frameBytes('a'.repeat(126), { opcode: 9 }), 1002],
  [10, 'a close of one byte', frameBytes('a', { opcode: 8 }), 1002],
  [11, 'the close code 999', closeBytes(999), 1002],
  [12, 'the close code 1005', closeBytes(1005), 1002],
  [13, 'the close code 1006', closeBytes(1006), 1002],
  [14, 'the close code 5000', closeBytes(5000), 1002],
  [15, 'a reason to close that is no UTF-8', closeBytes(1000, Buffer.from([0xff])), 1007],
  [16, 'text that is no UTF-8', frameBytes(Buffer.from([0xff])), 1007],
  [17, 'half of a UTF-8 character', frameBytes(Buffer.from([0xe2, 0x82])), 1007],
  [18, 'a surrogate in UTF-8', frameBytes(Buffer.from([0xed, 0xa0, 0x80])), 1007],
  [19, 'a character split over two fragments', splitCharacter(), greeted],
  [20, 'an empty text', text(''), failure('The frame is not valid JSON.')],
  [21, '65,536 bytes', text(greetingOf(65_536)), greeted],
  [22, '65,537 bytes', text(greetingOf(65_537)), 1009],
  [23, 'the announcement of 1 GiB', frameBytes('', { length: 2n ** 30n, lengthBytes: 8 }), 1009],
  [24, 'the announcement of 2^63 bytes', frameBytes('', { length: 2n ** 63n, lengthBytes: 8 }), 1009],
  [25, 'the announcement of 2^53 + 1 bytes', frameBytes('', { length: 2n ** 53n + 1n, lengthBytes: 8 }), 1009],
  [26, 'two fragments of 40 KB', [largeFragment(1, false), largeFragment(0, true)], 1009],
  [27, '18 fragments', fragments(18, greeting), 1008],
  [28, '1,000 empty fragments', fragments(1_000, ''), 1008],
  [30, 'a pong that nobody asked for', [frameBytes('a', { opcode: 10 }), text(greeting)], greeted],
  [31, 'a binary frame', frameBytes(greeting, { opcode: 2 }), 1003],
  [32, 'a length that is longer than it need be', frameBytes(greeting, { lengthBytes: 8 }), greeted],
  [33, 'data after a close', [closeBytes(1000), text(greeting)], 1000],
  [34, 'an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 1002],
  [35, 'one byte in each packet', [...text(greeting)].map((byte) => Buffer.from([byte])), greeted],
];

function splitCharacter(): Buffer[] {
  const bytes = Buffer.from('{"action":"greet","request_id":1,"a":"\u20ac"}');
  const middle = bytes.indexOf(0xe2) + 1;
  return [frameBytes(bytes.subarray(0, middle), { fin: false }), frameBytes(bytes.subarray(middle), { opcode: 0 })];
}

function largeFragment(opcode: number, fin: boolean): Buffer {
  return frameBytes('x'.repeat(40_000), { opcode, fin });
}

const without = (name: string) => upgradeRequest('/', { [name]: undefined });

/** What an upgrade is answered with. */
const handshakes: readonly (readonly [number, string, string, number])[] = [
  [36, 'no key', without('Sec-WebSocket-Key'), 400],
  [37, 'a bad key', upgradeRequest('/', { 'Sec-WebSocket-Key': 'abc' }), 400],
  [38, 'version 12', upgradeRequest('/', { 'Sec-WebSocket-Version': '12' }), 400],
  [39, 'POST', upgradeRequest('/').replace('GET', 'POST'), 405],
  [40, 'an upgrade to h2c', upgradeRequest('/', { Upgrade: 'h2c' }), 400],
  [41, 'an empty subprotocol', upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'a,,b' }), 400],
  [42, 'a subprotocol twice', upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'a, a' }), 400],
  [43, 'a header of 20 KB', upgradeRequest('/', { 'X-Large': 'x'.repeat(20_000) }), 431],
  [
    44,
    '1,500 headers',
    upgradeRequest('/', Object.fromEntries(many(1_500).map((n) => [`X-Header-${n}`, `${n}`]))),
    431,
  ],
  [45, 'a NUL in a header', upgradeRequest('/', { 'X-Nul': 'a\0b' }), 400],
];

function many(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function failure(
  sentence: string | object,
  { action = null, id = null, status = 400, code = 'parse_error' }: FailureOf = {},
): string {
  return JSON.stringify({ errors: [sentence], data: null, action, response_status: status, request_id: id, code });
}

interface FailureOf {
  readonly action?: string | null;
  readonly id?: number | string | null;
  readonly status?: number;
  readonly code?: string;
}

const noJson = failure('The frame is not valid JSON.');
const noObject = failure('A frame has to be a JSON object.');
const notThere = (action: string): string =>
  failure(`Method "${action}" not allowed.`, { action, id: 1, status: 405, code: 'action_not_found' });
const badId = failure('The request_id has to be a string or a number.', { action: 'greet' });
const beyond = (number: string): string =>
  `The number ${number} is beyond 2^53 and would not be read as it is. Send it as a string.`;
const of = (action: string, id: number | null = 1): FailureOf => ({ action, id });
const halfCharacter = failure('A string has half of a character in it, a lone surrogate.', of('greet'));
const badKey = failure('Not found.', { action: 'retrieve', id: 1, status: 404, code: 'not_found' });
const nested = (levels: number) => `{"action":"greet","request_id":1,"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const keys = (count: number) => many(count).map((n) => `"k${n}":${n}`);
const withKeys = (count: number) => `{"action":"greet","request_id":1,"a":{${keys(count).join()}}}`;
const retrieve = (pk: string) => `{"action":"retrieve","request_id":1,"pk":${pk}}`;
const room = '{"errors":[],"data":{"id":1,"name":"one"},"action":"retrieve","response_status":200,"request_id":1}';
const list = (cursor: string) => JSON.stringify({ action: 'list', request_id: 1, cursor });
const badCursor = failure(
  { cursor: ['This cursor does not belong to this list.'] },
  { action: 'list', id: 1, code: 'validation_failed' },
);

/** A text, and what it is answered with. */
const texts: readonly (readonly [number, string, string])[] = [
  [50, 'nul', noJson],
  [51, '"str"', noObject],
  [51, '1', noObject],
  [51, 'null', noObject],
  [51, 'true', noObject],
  [51, '[]', noObject],
  [52, '{}', failure('Unable to find action in message body.', { status: 405, code: 'action_not_found' })],
  [53, nested(31), greeted],
  [53, nested(32), failure('A frame may be nested 32 levels deep.', of('greet'))],
  [53, nested(32_000), failure('A frame may be nested 32 levels deep.', of('greet'))],
  [53, '['.repeat(32_000), noJson],
  [54, withKeys(1_000), greeted],
  [54, withKeys(1_001), failure('An object may have 1000 keys.', of('greet'))],
  ...['{"__proto__":{"admin":true},', '{"a":[{"__proto__":1}],', '{"\\u005f_proto__":{},'].map(
    (start) =>
      [
        55,
        `${start}"action":"greet","request_id":1}`,
        failure('The key "__proto__" may not be used here.', of('greet')),
      ] as const,
  ),
  [
    56,
    '{"constructor":{"prototype":{}},"action":"greet","request_id":1}',
    failure('The key "prototype" may not be used here.', of('greet')),
  ],
  ...['__proto__', 'constructor', 'toString', 'then', 'hasOwnProperty', 'a'.repeat(10_000)].map(
    (action) => [57, JSON.stringify({ action, request_id: 1 }), notThere(action)] as const,
  ),
  [57, '{"action":7,"request_id":1}', failure('The action has to be a string.', { id: 1 })],
  [
    57,
    '{"action":null,"request_id":1}',
    failure('Unable to find action in message body.', { id: 1, status: 405, code: 'action_not_found' }),
  ],
  [58, '{"action":"greet","request_id":{}}', badId],
  [58, '{"action":"greet","request_id":[]}', badId],
  [58, '{"action":"greet","request_id":NaN}', noJson],
  [58, '{"action":"greet","request_id":-0}', greeted.replace('"request_id":1', '"request_id":0')],
  [58, '{"action":"greet","request_id":9007199254740993}', failure(beyond('9007199254740993'), of('greet', null))],
  [
    58,
    `{"action":"greet","request_id":"${'x'.repeat(65)}"}`,
    failure('The request_id may have 64 characters.', { action: 'greet' }),
  ],
  [59, '{"action":"greet","action":"list","request_id":1}', failure('The key "action" is there twice.', of('list'))],
  [60, '{"action":"greet","request_id":1,"a":"\\ud800"}', halfCharacter],
  [60, '\ufeff{"action":"greet","request_id":1}', noJson],
  [60, '{"action":"greet","request_id":1,"a":"\u0000"}', noJson],
  [60, '{"action":"greet","request_id":1,"a":"\\u0000 \u2028"}', greeted],
  [60, retrieve('"\\u0000"'), badKey],
  [61, '{"action":"greet","request_id":1,"a":1e400}', failure('The number 1e400 is too large.', of('greet'))],
  [61, '{"action":"greet","request_id":1,"a":-0}', greeted],
  [61, `{"action":"greet","request_id":1,"a":${'7'.repeat(400)}}`, failure(beyond(`${'7'.repeat(32)}…`), of('greet'))],
  [62, retrieve('1'), room],
  [62, retrieve('"01"'), room],
  ...['"1; drop"', '{"$gt":""}', '[1]', '"1 "', 'null', '"9223372036854775808"'].map(
    (pk) => [62, retrieve(pk), badKey] as const,
  ),
  [62, retrieve('9223372036854775808'), failure(beyond('9223372036854775808'), of('retrieve'))],
  [64, list(''), badCursor],
  [64, list('garbage'), badCursor],
  [64, list(Buffer.from('["id",-1').toString('base64url')), badCursor],
  [64, list(Buffer.from('["name",1]').toString('base64url')), badCursor],
];

describe('Bad input', () => {
  const database = useDatabase('bad_input');
  let app: App;
  let port: number;
  let logger: MemoryLogger;
  let other: SocketClient;

  before(async () => {
    const providers = testProviders();
    ({ logger } = providers);
    const limits = {
      addressMessagesPerSecond: 1_000_000_000,
      addressBytesPerSecond: 1_000_000_000,
      subscriptions: 128,
      addressHandshakeBurst: 1_000,
      connectionsPerAddress: 1_000,
    };
    app = createApp({
      orm: database.orm,
      container: providers.container,
      routes: [path('/', RoomConsumer)],
      settings: { limits },
    });
    ({ port } = await app.listen({ host: '127.0.0.1' }));
  });
  after(() => app.close());

  beforeEach(async () => {
    const em = database.orm.em.fork();
    em.create(Room, { id: 1, name: 'one' });
    await em.flush();
    other = await SocketClient.open(`ws://127.0.0.1:${port}/`);
  });

  /** Whatever one client sends: the others are served, and nobody has to look at the log. */
  afterEach(async () => {
    other.sendText(greeting);
    expect(await other.receive()).to.deep.equal(JSON.parse(greeted));
    other.close();
    await other.closed;
    expect(logger.entries.filter(({ level }) => level === 'warn' || level === 'error')).to.deep.equal([]);
    expect(Object.prototype).not.to.have.property('admin');
  });

  describe('in frames', () => {
    for (const [number, what, bytes, answer] of frames) {
      it(`${number}: ${what} is answered with ${typeof answer === 'number' ? `a close, ${answer}` : 'a reply'}`, async () => {
        using client = await RawWebSocket.open(port, '/');
        for (const packet of [bytes].flat()) client.write(packet);
        expect(await client.answer()).to.deep.equal(typeof answer === 'number' ? { close: answer } : { text: answer });
        if (typeof answer === 'number') return;
        client.write(text(greeting));
        expect(await client.answer()).to.deep.equal({ text: greeted });
      });
    }

    it('29: 100 pings in one packet get 10 pongs, and the socket is cut', async () => {
      using client = await RawWebSocket.open(port, '/');
      client.write(Buffer.concat(many(100).map((n) => frameBytes(`${n}`, { opcode: 9 }))));
      const answers = await client.rest();
      expect(answers.length).to.be.at.most(11);
      expect(answers.at(-1)).to.deep.equal({ end: true });
    });

    it('46: a frame that comes along with the handshake is answered after it', async () => {
      using client = await RawWebSocket.open(port, '/', text(greeting));
      expect(await client.answer()).to.deep.equal({ text: greeted });
    });

    it('49: a socket that says nothing stays, and is served when it speaks', async () => {
      using client = await RawWebSocket.open(port, '/');
      other.sendText(greeting);
      await other.receive();
      client.write(text(greeting));
      expect(await client.answer()).to.deep.equal({ text: greeted });
    });
  });

  describe('in handshakes', () => {
    for (const [number, what, request, status] of handshakes) {
      it(`${number}: ${what} is answered with ${status}`, async () => {
        using client = await RawClient.open(port);
        client.write(request);
        expect(await client.hear('\r\n\r\n')).to.match(new RegExp(`^HTTP/1.1 ${status} `));
      });
    }

    it('is taken calmly: a client that resets its connection after any number of bytes', async () => {
      const request = upgradeRequest('/');
      for (let length = 0; length <= request.length; length += 1) {
        using client = await RawClient.open(port);
        client.write(request.slice(0, length));
        await new Promise((resolve) => setImmediate(resolve));
        client.socket.resetAndDestroy();
      }
    });

    describe('that take longer than the server waits', () => {
      let hasty: App;
      let hastyPort: number;

      // Of its own, for on a busy machine sound requests take that long as well.
      before(async () => {
        const limits = { headersTime: 100, requestTime: 100, requestCheckInterval: 20 };
        hasty = createApp({ orm: database.orm, routes: [path('/', RoomConsumer)], settings: { limits } });
        ({ port: hastyPort } = await hasty.listen({ host: '127.0.0.1' }));
      });
      after(() => hasty.close());

      for (const [number, what, start] of [
        [47, 'half of the headers, then nothing,', 'GET / HTTP/1.1\r\nHost: 127'],
        [48, 'a client that says nothing', ''],
      ] as const) {
        it(`${number}: ${what} is answered with 408`, async () => {
          using client = await RawClient.open(hastyPort);
          client.write(start);
          expect(await client.hear('\r\n\r\n')).to.match(/^HTTP\/1.1 408 /);
        });
      }
    });
  });

  describe('in text', () => {
    for (const [number, sent, answer] of texts) {
      it(`${number}: ${sent.slice(0, 80)} is answered with ${answer.slice(0, 80)}`, async () => {
        await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
        client.sendText(sent);
        expect(await client.receive()).to.deep.equal(JSON.parse(answer));
        client.sendText(greeting);
        expect(await client.receive()).to.deep.equal(JSON.parse(greeted));
      });
    }

    it('58: a request id of 1 MB ends the socket with 1009', async () => {
      const client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
      client.sendText(JSON.stringify({ action: 'greet', request_id: 'x'.repeat(1_000_000) }));
      expect(await client.closed).to.equal(1009);
    });

    it('63: the 129th subscription is a 429, one that is asked for twice is one, and one of none a 204', async () => {
      await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
      const ask = async (action: string, id: number): Promise<unknown> => {
        client.send({ action, request_id: id, pk: 1 });
        return (await client.receive())['response_status'];
      };
      for (const id of many(128)) {
        const status = await ask('subscribe_instance', id);
        expect(status).to.equal(201);
      }
      expect(await ask('subscribe_instance', 128)).to.equal(429);
      expect(await ask('subscribe_instance', 0)).to.equal(201);
      expect(await ask('unsubscribe_instance', 999)).to.equal(204);
    });

    it('63: subscribe, unsubscribe and subscribe in one packet are answered in their order', async () => {
      using client = await RawWebSocket.open(port, '/');
      const request = (action: string) => text(JSON.stringify({ action, request_id: 1, pk: 1 }));
      client.write(Buffer.concat(['subscribe', 'unsubscribe', 'subscribe'].map((verb) => request(`${verb}_instance`))));
      const answers = [await client.answer(), await client.answer(), await client.answer()];
      const statuses = answers.map((answer) => JSON.parse('text' in answer ? answer.text : '{}').response_status);
      expect(statuses).to.deep.equal([201, 204, 201]);
    });
  });
});
