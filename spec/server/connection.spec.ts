import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppOptions,
  Consumer,
  demultiplexer,
  IsAuthenticated,
  NotAuthenticated,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  type Route,
  type Scope,
} from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { reply } from '../support/frames.js';
import { gate, useServer } from '../support/serving.js';
import { refusalOf, SocketClient } from '../support/sockets.js';

let told: string[] = [];

@Consumer()
class OpenConsumer extends ApiConsumer {
  #count = 0;

  constructor() {
    super();
    told.push('built');
  }

  @Action()
  async count() {
    this.#count += 1;
    return this.#count;
  }

  @Action()
  async fail() {
    throw new TypeError('A secret.');
  }
}

@Permissions(IsAuthenticated)
@Consumer()
class MembersConsumer extends ApiConsumer {
  @Action()
  async who({ scope }: ActionContext) {
    return scope.user;
  }
}

@injectable()
class Nobody implements Permission {
  canConnect(_scope: Scope): boolean {
    return false;
  }
}

@Permissions(Nobody)
@Consumer()
class ClosedConsumer extends ApiConsumer {}

@Consumer()
class BrokenConsumer extends ApiConsumer {
  constructor() {
    super();
    throw new TypeError('Cannot be built.');
  }
}

@Consumer()
class LateConsumer extends ApiConsumer {
  protected override onConnect(): void {
    throw new PermissionDenied('Too late.');
  }

  @Action()
  async count() {
    return 1;
  }
}

describe('A connection', () => {
  const serve = useServer();
  let logger: MemoryLogger;

  beforeEach(() => {
    told = [];
  });

  function open(options: Partial<AppOptions<readonly Route[]>> = {}): App {
    const streams = {
      open: OpenConsumer,
      twin: OpenConsumer,
      members: MembersConsumer,
      broken: BrokenConsumer,
      late: LateConsumer,
      toString: OpenConsumer,
    };
    const routes = [
      path('/one/', OpenConsumer),
      path('/members/', MembersConsumer),
      path('/closed/', ClosedConsumer),
      path('/broken/', BrokenConsumer),
      path('/many/', demultiplexer(streams)),
      path('/none/', demultiplexer({ members: MembersConsumer, closed: ClosedConsumer })),
    ];
    const served = serve(routes, options);
    logger = served.logger;
    return served.app;
  }

  async function listen(options: Partial<AppOptions<readonly Route[]>> = {}): Promise<string> {
    const { port } = await open(options).listen({ host: '127.0.0.1' });
    return `ws://127.0.0.1:${port}`;
  }

  describe('to one consumer', () => {
    it('builds it at once, and keeps it', async () => {
      await using ann = await connect(open(), '/one/');
      expect(told).to.deep.equal(['built']);
      expect(await ann.request('count')).to.include({ data: 1 });
      expect(await ann.request('count')).to.include({ data: 2 });
      expect(told).to.deep.equal(['built']);
    });

    it('has a consumer of its own', async () => {
      const app = open();
      await using ann = await connect(app, '/one/');
      await using bob = await connect(app, '/one/');
      expect(await ann.request('count')).to.include({ data: 1 });
      expect(await bob.request('count')).to.include({ data: 1 });
    });

    const notJson = { errors: ['The frame is not valid JSON.'], code: 'parse_error' };
    const noObject = { errors: ['A frame has to be a JSON object.'], code: 'parse_error' };
    for (const [text, refusal] of [
      ['', notJson],
      ['{', notJson],
      ['hello', notJson],
      ['{"action":"count"}x', notJson],
      ['null', noObject],
      ['1', noObject],
      ['"text"', noObject],
      ['[{"action":"count"}]', noObject],
    ] as const) {
      it(`answers 400 to the frame ${JSON.stringify(text)}, and lives`, async () => {
        await using ann = await connect(open(), '/one/');
        ann.sendText(text);
        expect(await ann.receive()).to.deep.equal({
          ...refusal,
          data: null,
          action: null,
          response_status: 400,
          request_id: null,
        });
        expect(await ann.request('count')).to.include({ data: 1 });
      });
    }

    it('answers each frame with an error where the consumer cannot be built', async () => {
      await using ann = await connect(open(), '/broken/');
      for (const id of [1, 2]) {
        ann.send({ action: 'count', request_id: id });
        const reply = await ann.receive();
        expect(reply).to.include({ response_status: 500, code: 'server_error', request_id: id, action: 'count' });
        expect(JSON.stringify(reply)).not.to.include('Cannot be built');
      }
      expect(logger.at('error')[0]?.fields['error']).to.have.property('message', 'Cannot be built.');
    });

    it('is refused with 401 where no user is logged in, and with 403 where one is', async () => {
      const app = open();
      expect(await refused(connect(app, '/members/'))).to.be.instanceOf(NotAuthenticated);
      expect(await refused(connect(app, '/closed/', { user: { id: 1 } }))).to.be.instanceOf(PermissionDenied);
      const url = await listen();
      expect(await refusalOf(`${url}/members/`)).to.deep.equal({
        status: 401,
        sentence: 'Authentication credentials were not provided.',
      });
    });
  });

  describe('to several streams', () => {
    it('answers in the stream that was asked', async () => {
      await using ann = await connect(open(), '/many/');
      ann.send({ stream: 'open', payload: { action: 'count', request_id: 1 } });
      expect(await ann.receive()).to.deep.equal({
        stream: 'open',
        payload: { errors: [], data: 1, action: 'count', response_status: 200, request_id: 1 },
      });
    });

    it('builds a consumer at the first frame of its stream, one for each stream and connection', async () => {
      const app = open();
      await using ann = await connect(app, '/many/');
      await using bob = await connect(app, '/many/');
      expect(told).to.deep.equal([]);
      expect(await ann.channel('open').request('count')).to.include({ data: 1 });
      expect(await ann.channel('open').request('count')).to.include({ data: 2 });
      expect(told).to.deep.equal(['built']);
      expect(await ann.channel('twin').request('count')).to.include({ data: 1 });
      expect(await bob.channel('open').request('count')).to.include({ data: 1 });
      expect(told).to.deep.equal(['built', 'built', 'built']);
    });

    it('keeps the failures of a stream in it', async () => {
      await using ann = await connect(open(), '/many/', { user: { id: 1 } });
      expect(await ann.channel('open').request('fail')).to.include({ response_status: 500, code: 'server_error' });
      expect(await ann.channel('broken').request('count')).to.include({ response_status: 500, code: 'server_error' });
      expect(await ann.channel('broken').request('count')).to.include({ response_status: 500, code: 'server_error' });
      expect(await ann.channel('late').request('count')).to.deep.include({
        response_status: 403,
        errors: ['Too late.'],
      });
      expect(await ann.channel('open').request('count')).to.include({ data: 1 });
      expect(await ann.channel('members').request('who')).to.deep.include({ data: { id: 1 } });
    });

    it('answers an unknown stream in its own envelope, with what it answers', async () => {
      await using ann = await connect(open(), '/many/');
      ann.send({ stream: 'rooms', payload: { action: 'list', request_id: 'r-1' } });
      expect(await ann.receive()).to.deep.equal({
        stream: 'rooms',
        payload: {
          errors: ['No stream "rooms". There are: open, twin, broken, late, toString.'],
          data: null,
          action: 'list',
          response_status: 404,
          request_id: 'r-1',
          code: 'stream_not_found',
        },
      });
    });

    for (const stream of ['__proto__', 'constructor', 'hasOwnProperty', 'size', '']) {
      it(`does not take ${JSON.stringify(stream)} for a stream`, async () => {
        await using ann = await connect(open(), '/many/');
        ann.sendText(`{"stream":${JSON.stringify(stream)},"payload":{"action":"count","request_id":1}}`);
        expect(await ann.receive()).to.deep.nested.include({
          stream,
          'payload.response_status': 404,
          'payload.request_id': 1,
        });
      });
    }

    it('takes a stream that is named after a member of Object', async () => {
      await using ann = await connect(open(), '/many/');
      expect(await ann.channel('toString').request('count')).to.include({ data: 1 });
    });

    const incomplete = ['A frame has to have a stream and a payload.'];
    const malformed: readonly [string, unknown, string | null, string[], string | number | null][] = [
      ['no stream', { payload: { action: 'count', request_id: 1 } }, null, incomplete, 1],
      ['a number for its stream', { stream: 1, payload: { action: 'count', request_id: 1 } }, null, incomplete, 1],
      ['a null stream', { stream: null, payload: { action: 'count', request_id: 1 } }, null, incomplete, 1],
      ['no payload', { stream: 'open' }, 'open', incomplete, null],
      ['nothing', {}, null, incomplete, null],
      ['no envelope', { action: 'count', request_id: 1 }, null, incomplete, null],
      ['a null payload', { stream: 'open', payload: null }, 'open', ['A request has to be a JSON object.'], null],
      [
        'a list for its payload',
        { stream: 'open', payload: [1] },
        'open',
        ['A request has to be a JSON object.'],
        null,
      ],
      [
        'a text for its payload',
        { stream: 'open', payload: 'hi' },
        'open',
        ['A request has to be a JSON object.'],
        null,
      ],
      ['no object', [1], null, ['A frame has to be a JSON object.'], null],
    ];
    for (const [name, frame, stream, errors, id] of malformed) {
      it(`answers 400 to a frame that has ${name}, and lives`, async () => {
        await using ann = await connect(open(), '/many/');
        ann.send(frame);
        expect(await ann.receive()).to.deep.nested.include({
          stream,
          'payload.response_status': 400,
          'payload.code': 'parse_error',
          'payload.errors': errors,
          'payload.request_id': id,
        });
        expect(await ann.channel('open').request('count')).to.include({ data: 1 });
      });
    }

    it('answers each frame of a refused stream with 403, while the others live', async () => {
      await using ann = await connect(open(), '/many/');
      for (const id of [1, 2]) {
        ann.send({ stream: 'members', payload: { action: 'who', request_id: id } });
        expect(await ann.receive()).to.deep.equal({
          stream: 'members',
          payload: {
            errors: ['You do not have permission to perform this action.'],
            data: null,
            action: 'who',
            response_status: 403,
            request_id: id,
            code: 'permission_denied',
          },
        });
      }
      expect(await ann.channel('open').request('count')).to.include({ data: 1 });
    });

    it('is refused only if every stream refuses', async () => {
      const url = await listen();
      expect(await refusalOf(`${url}/none/`)).to.deep.equal({
        status: 401,
        sentence: 'Authentication credentials were not provided.',
      });
      await using ann = await connect(open(), '/none/', { user: { id: 1 } });
      expect(await ann.channel('members').request('who')).to.include({ response_status: 200 });
      expect(await ann.channel('closed').request('who')).to.include({ response_status: 403 });
    });
  });

  describe('over a real socket', () => {
    it('ends with 1003 at a binary frame, and the others live', async () => {
      const url = await listen({ settings: { limits: { addressBytesPerSecond: 1_000_000_000 } } });
      await using other = await SocketClient.open(`${url}/one/`);
      const client = await SocketClient.open(`${url}/one/`);
      client.sendBinary(Buffer.from('{"action":"count"}'));
      expect(await client.closed).to.equal(1003);
      other.send({ action: 'count', request_id: 1 });
      expect(await other.receive()).to.include({ data: 1 });
    });

    it('answers a frame of 64 KiB, and ends with 1009 at a larger one, and the others live', async () => {
      const url = await listen({ settings: { limits: { addressBytesPerSecond: 1_000_000_000 } } });
      await using other = await SocketClient.open(`${url}/one/`);
      const client = await SocketClient.open(`${url}/one/`);
      const start = `{"action":"count","request_id":1,"text":"${'x'.repeat(32_760)}","more":"`;
      const largest = `${start}${'x'.repeat(65_536 - start.length - 2)}"}`;
      expect(largest).to.have.lengthOf(65_536);
      client.sendText(largest);
      expect(await client.receive()).to.include({ response_status: 200 });
      client.sendText(`${largest} `);
      expect(await client.closed).to.equal(1009);
      other.send({ action: 'count', request_id: 1 });
      expect(await other.receive()).to.include({ data: 1 });
    });

    it('ends at the size that the application sets', async () => {
      const url = await listen({ settings: { maxPayload: 100 } });
      const client = await SocketClient.open(`${url}/one/`);
      client.sendText('x'.repeat(101));
      expect(await client.closed).to.equal(1009);
    });

    it('isolates streams', async () => {
      const url = await listen();
      await using client = await SocketClient.open(`${url}/many/`);
      client.send({ stream: 'broken', payload: { action: 'x', request_id: 1 } });
      client.send({ stream: 'nowhere', payload: { action: 'x', request_id: 2 } });
      client.send({ stream: 'open', payload: { action: 'count', request_id: 3 } });
      const frames = [await client.receive(), await client.receive(), await client.receive()];
      expect(frames.map(({ stream }) => stream)).to.deep.equal(['broken', 'nowhere', 'open']);
    });
  });
});

async function refused(connecting: Promise<unknown>): Promise<unknown> {
  return connecting.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const busy = gate();

@Consumer()
class PlainConsumer extends ApiConsumer {
  protected override onConnect(): Promise<void> {
    return busy.promise;
  }

  @Action()
  async list() {
    return [];
  }
}

@Consumer()
class PingConsumer extends ApiConsumer {
  @Action()
  async ping() {
    return 'mine';
  }
}

describe('A ping', () => {
  const serve = useServer();

  it('is answered at once, whatever its consumer is busy with', async () => {
    const { app } = serve([path('/ws/', PlainConsumer)]);
    await using ann = await connect(app, '/ws/');
    ann.send({ action: 'ping' });
    expect(await ann.receive()).to.deep.equal(reply('ping', null, null));
    ann.send({ action: 'ping', request_id: 'now' });
    expect(await ann.receive()).to.deep.equal(reply('ping', null, 'now'));
    busy.resolve();
  });

  it('needs no stream behind a demultiplexer', async () => {
    const { app } = serve([path('/ws/', demultiplexer({ plain: PlainConsumer }))]);
    await using ann = await connect(app, '/ws/');
    ann.sendText('{"action": "ping"}');
    expect(await ann.receive()).to.deep.equal({ stream: null, payload: reply('ping', null, null) });
  });

  it('goes to the consumer of a route that has an action of this name', async () => {
    const { app } = serve([path('/ws/', PingConsumer)]);
    await using ann = await connect(app, '/ws/');
    expect(await ann.request('ping', { request_id: 1 })).to.deep.equal(reply('ping', 'mine'));
  });

  it('is none with anything else in the frame', async () => {
    const { app } = serve([path('/ws/', demultiplexer({ plain: PingConsumer }))]);
    await using ann = await connect(app, '/ws/');
    ann.send({ action: 'ping', pk: 1 });
    expect(await ann.receive()).to.have.nested.include({ 'payload.response_status': 400 });
    expect(await ann.channel('plain').request('ping', { request_id: 1 })).to.deep.equal(reply('ping', 'mine'));
  });
});
