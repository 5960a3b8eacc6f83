import { expect } from 'chai';
import { Action, ApiConsumer, Consumer, demultiplexer, path } from 'signalbox';
import { offlineOrm } from '../support/offline-orm.js';
import { ask, Served } from './served.js';

const gates: (() => void)[] = [];

@Consumer()
class Plain extends ApiConsumer {
  @Action() async ping() {
    return 'pong';
  }

  @Action({ detached: true }) async wait() {
    await new Promise<void>((resolve) => gates.push(resolve));
    return 'waited';
  }
}

const wrongType = 'The request_id has to be a string or a number.';
const tooLong = 'The request_id may have at most 64 characters.';
const unheld = (number: string) => `The number ${number} is beyond 2^53 and would lose digits. Send it as a string.`;

/** JSON texts of request ids that are given back as they came. */
const echoed = [
  '1',
  '0',
  '-0',
  '-1',
  '1.5',
  '9007199254740991',
  '-9007199254740991',
  '""',
  '"1"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"null"',
  '"\\u0000\\u001b[31m\\n"',
  '"\\u2028"',
  `"${'x'.repeat(64)}"`,
  'null',
];

/** And of those that are no request ids: the reply has null. */
const refused: readonly [string, string][] = [
  ['true', wrongType],
  ['{}', wrongType],
  ['[]', wrongType],
  ['[1]', wrongType],
  ['{"toString": "x"}', wrongType],
  [`"${'x'.repeat(65)}"`, tooLong],
  [`"${'x'.repeat(30_000)}"`, tooLong],
  ['9007199254740993', unheld('9007199254740993')],
  ['-9007199254740993', unheld('-9007199254740993')],
  ['1e400', 'The number 1e400 is too large.'],
  ['NaN', 'The frame is not valid JSON.'],
  ['Infinity', 'The frame is not valid JSON.'],
  ['undefined', 'The frame is not valid JSON.'],
  ['01', 'The frame is not valid JSON.'],
];

describe('A request id', () => {
  let orm: Awaited<ReturnType<typeof offlineOrm>>;
  let served: Served;

  before(async () => {
    orm = await offlineOrm();
    served = await Served.by(orm, [path('/plain/', Plain), path('/many/', demultiplexer({ plain: Plain }))]);
  });
  after(async () => {
    await served[Symbol.asyncDispose]();
    await orm.close();
  });

  for (const id of echoed) {
    it(`is given back as it came: ${id}`, async () => {
      await using ann = await served.open('/plain/');
      ann.sendText(`{"action":"ping","request_id":${id}}`);
      expect(JSON.stringify(await ann.receive())).to.equal(
        `{"errors":[],"data":"pong","action":"ping","response_status":200,"request_id":${JSON.stringify(JSON.parse(id))}}`,
      );
    });
  }

  for (const [id, text] of refused) {
    it(`is refused: ${id.slice(0, 40)}`, async () => {
      await using ann = await served.open('/plain/');
      const reply = await ask(ann, `{"action":"ping","request_id":${id}}`);
      expect(reply).to.deep.include({ errors: [text], response_status: 400, code: 'parse_error', request_id: null });
      expect(await ask(ann, { action: 'ping', request_id: 1 })).to.include({ data: 'pong' });
    });
  }

  it('of a megabyte closes the socket with 1009', async () => {
    await using ann = await served.open('/plain/');
    ann.sendText(`{"action":"ping","request_id":"${'x'.repeat(1_000_000)}"}`);
    expect(await ann.closed).to.equal(1009);
  });

  it('that is there twice in a frame is refused, by the last of the two', async () => {
    await using ann = await served.open('/plain/');
    expect(await ask(ann, '{"action":"ping","request_id":1,"request_id":2}')).to.include({
      response_status: 400,
      code: 'parse_error',
      request_id: 2,
    });
  });

  it('that is in flight twice is answered twice, whichever ends first', async () => {
    await using ann = await served.open('/plain/');
    for (const action of ['wait', 'ping', 'ping', 'wait']) ann.send({ action, request_id: 7 });
    const first = [await ann.receive(), await ann.receive()];
    for (const open of gates.splice(0)) open();
    const last = [await ann.receive(), await ann.receive()];
    expect([...first, ...last].map(({ data, request_id }) => [data, request_id])).to.deep.equal([
      ['pong', 7],
      ['pong', 7],
      ['waited', 7],
      ['waited', 7],
    ]);
    expect(await ask(ann, { action: 'ping', request_id: 8 })).to.include({ data: 'pong', request_id: 8 });
  });

  it('that names a request twice in flight cancels one of them at a time', async () => {
    await using ann = await served.open('/plain/');
    for (const action of ['wait', 'wait']) ann.send({ action, request_id: 7 });
    for (const id of [1, 2, 3]) ann.send({ action: 'cancel', request_id: id, target: 7 });
    const frames = [];
    for (let count = 0; count < 5; count++) frames.push(await ann.receive());
    expect(frames.map(({ request_id, response_status }) => [request_id, response_status])).to.have.deep.members([
      [1, 200],
      [7, 499],
      [2, 200],
      [7, 499],
      [3, 404],
    ]);
    gates.splice(0);
  });

  it('is refused in its stream, with null', async () => {
    await using ann = await served.open('/many/');
    const reply = await ask(ann, { stream: 'plain', payload: { action: 'ping', request_id: { a: 1 } } });
    expect(reply).to.deep.equal({
      stream: 'plain',
      payload: {
        errors: [wrongType],
        data: null,
        action: 'ping',
        response_status: 400,
        request_id: null,
        code: 'parse_error',
      },
    });
  });
});
