import { expect } from 'chai';
import { IsDefined, IsInt, IsOptional } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  demultiplexer,
  OnMessage,
  ParseError,
  path,
} from 'signalbox';
import { connect, MemoryTransport } from 'signalbox/testing';
import { failure, reply } from '../support/frames.js';
import { gate, useServer } from '../support/serving.js';

class Keyed {
  @IsInt()
  pk!: number;
}

class Echoed {
  @IsOptional()
  a?: unknown;

  @IsOptional()
  data?: unknown;
}

class Value {
  @IsDefined()
  v!: unknown;
}

let slow = gate();

@Consumer()
class CustomConsumer extends ApiConsumer {
  @Action()
  async testAsyncAction({ pk }: Keyed) {
    return { pk };
  }

  @Action({ atomic: false })
  testSyncAction({ pk }: Keyed) {
    return { pk, sync: true };
  }

  @Action()
  async returnsUnicode() {
    return 'é☃😀</script>';
  }

  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs;
  }

  @Action()
  async known({ a, data }: Echoed) {
    return { a, data };
  }

  @Action({ name: 'renamed-action' })
  async originalName() {
    return 'renamed ok';
  }

  @Action({ name: 'renamed-detached', detached: true })
  async detachedOrig() {
    return 'd';
  }

  @Action()
  async sendsText() {
    this.sendJson('raw text');
  }

  @Action()
  async sendsBinary() {
    this.sendBinary(new Uint8Array([0, 1]));
  }

  @Action()
  async value({ v }: Value) {
    return { v };
  }

  @Action()
  async returnsNan() {
    return { v: Number.NaN, i: Number.POSITIVE_INFINITY };
  }

  @Action()
  async slowAsync() {
    await slow.promise;
    return { slept: 0.5 };
  }

  @Action()
  async closeMe() {
    this.close(4321);
  }

  @Action()
  async closeThenReply() {
    this.close(4322, 'Enough.');
    this.close(4323, 'Once more.');
    return 'bye';
  }

  @Action()
  async returnsNothing() {}

  @Action()
  async returnsNull() {
    return null;
  }

  @Action()
  async returnsObject() {
    return { a: 1 };
  }

  @Action()
  async returnsList() {
    return [1, 2];
  }

  @Action()
  async returnsText() {
    return 'text';
  }

  hiddenMethod() {
    return 'nobody';
  }

  @OnMessage('shout')
  onShout() {}

  protected async background() {}
}

@Consumer()
class HeirConsumer extends CustomConsumer {
  override async returnsNull() {
    return null;
  }

  @Action({ status: 202 })
  override async originalName() {
    return 'overridden';
  }
}

/** The action stands in `type`. */
@Consumer()
class TypeRoutedConsumer extends ApiConsumer {
  @Action({ strict: true })
  async echo({ a }: Echoed) {
    return { a };
  }

  protected override getActionName(payload: Record<string, unknown>): unknown {
    const { type } = payload;
    delete payload['type'];
    if (type === 'explode') throw new ParseError('bad type');
    if (type === 'break') throw new Error('A secret.');
    return type;
  }
}

describe('DCRF: envelope and dispatch', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    slow = gate();
    const streams = demultiplexer({ typed: TypeRoutedConsumer, custom: CustomConsumer });
    const routes = [
      path('/custom/', CustomConsumer),
      path('/heir/', HeirConsumer),
      path('/type/', TypeRoutedConsumer),
      path('/streams/', streams),
    ];
    ({ app } = serve(routes));
  });

  it('S001 answers a sync and an async action in one envelope', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: 'test_async_action', pk: 2, request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('test_async_action', { pk: 2 }));
    a.send({ action: 'test_sync_action', pk: 3, request_id: 10 });
    expect(await a.receive()).to.deep.equal(reply('test_sync_action', { pk: 3, sync: true }, 10));
  });

  it('S002 (differs) has the five keys in their order, and text as it is', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const transport = new MemoryTransport(resolve);
    await app.start();
    const { closed } = await app.accept({ url: '/custom/', headers: {} }, () => transport);
    transport.receiveText('{"action": "returns_unicode", "request_id": 1}');
    expect(await promise).to.equal(
      '{"errors":[],"data":"é☃😀</script>","action":"returns_unicode","response_status":200,"request_id":1}',
    );
    transport.receiveClose(1000);
    await closed;
  });

  it('S004 (differs) takes every other key of the frame for a kwarg, and hands over those that the action knows', async () => {
    await using a = await connect(app, '/custom/');
    const kwargs = { a: 1, data: { x: [1] }, 'with space': null, '': 'empty', class: 3 };
    a.send({ action: 'echo', request_id: 1, ...kwargs });
    expect(await a.receive()).to.deep.equal(reply('echo', kwargs));
    a.send({ action: 'known', request_id: 2, ...kwargs });
    expect(await a.receive()).to.deep.equal(reply('known', { a: 1, data: { x: [1] } }, 2));
  });

  it('S005 (differs) answers 405 to an unknown action, by its name as it came, and in development names a near one', async () => {
    await using a = await connect(app, '/custom/');
    const near = { errors: ['Method "Echo" not allowed.', 'Did you mean "echo"?'], response_status: 405 };
    expect(await a.request('Echo')).to.deep.include(near);
    for (const name of ['no_such', '', 'ECHO_'.repeat(20)]) {
      a.send({ action: name, request_id: 1 });
      expect(await a.receive()).to.deep.equal(failure(name, 405, 'action_not_found', `Method "${name}" not allowed.`));
    }
    a.send({ action: 'no_such' });
    expect(await a.receive()).to.include({ response_status: 405, request_id: null });
  });

  it('S006 lets no client reach a public method that is no action', async () => {
    await using a = await connect(app, '/custom/');
    const names = ['hidden_method', 'hiddenMethod', 'send_json', 'sendJson', 'close', 'constructor', 'background'];
    for (const name of [...names, 'shout', 'on_shout', 'onShout', 'onConnect', 'getActionName', '__proto__']) {
      a.send({ action: name, request_id: 1 });
      expect(await a.receive()).to.deep.equal(failure(name, 405, 'action_not_found', `Method "${name}" not allowed.`));
    }
  });

  it('S007 (differs) answers by the name that an action was given, and to the name of its method too', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: 'renamed-action', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('renamed-action', 'renamed ok'));
    a.send({ action: 'renamed-detached', request_id: 2 });
    expect(await a.receive()).to.deep.equal(reply('renamed-detached', 'd', 2));
    a.send({ action: 'detached_orig', request_id: 3 });
    expect(await a.receive()).to.deep.equal(reply('detached_orig', 'd', 3));
  });

  it('keeps an action that a subclass overrides without a decorator, and takes the options of a new one', async () => {
    await using a = await connect(app, '/heir/');
    expect(await a.request('returns_null', { request_id: 1 })).to.deep.equal(reply('returns_null', null));
    expect(await a.request('original_name', { request_id: 2 })).to.deep.equal(
      reply('original_name', 'overridden', 2, 202),
    );
    expect(await a.request('renamed-action', { request_id: 3 })).to.include({ response_status: 405 });
  });

  const missing = 'Unable to find action in message body.';

  it('S009 answers 405 to a frame without an action, and lives on', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ request_id: 7, pk: 1 });
    expect(await a.receive()).to.deep.equal(failure(null, 405, 'action_not_found', missing, 7));
    a.send({});
    expect(await a.receive()).to.deep.equal(failure(null, 405, 'action_not_found', missing, null));
    expect(await a.request('returns_unicode')).to.include({ response_status: 200 });
  });

  it('S010 answers 405 to a frame without an action that has kwargs', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ pk: 2, request_id: 1 });
    expect(await a.receive()).to.deep.equal(failure(null, 405, 'action_not_found', missing));
  });

  it('S011 (differs) answers 405 to null for an action, and 400 to a number or a boolean', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: null, request_id: 1 });
    expect(await a.receive()).to.deep.equal(failure(null, 405, 'action_not_found', missing));
    for (const action of [5, true, 1.5]) {
      a.send({ action, request_id: 1 });
      expect(await a.receive()).to.deep.equal(failure(null, 400, 'parse_error', 'The action has to be a string.'));
    }
  });

  it('S012 (differs) finds the action where the consumer says, and answers what that throws', async () => {
    await using a = await connect(app, '/type/');
    a.send({ type: 'echo', request_id: 1, a: 1 });
    expect(await a.receive()).to.deep.equal(reply('echo', { a: 1 }));
    a.send({ type: 'explode', request_id: 2 });
    expect(await a.receive()).to.deep.equal(failure(null, 400, 'parse_error', 'bad type', 2));
    a.send({ action: 'echo', request_id: 3 });
    expect(await a.receive()).to.deep.equal(failure(null, 405, 'action_not_found', missing, 3));
    a.send({ type: 'break', request_id: 4 });
    expect(await a.receive()).to.include({ response_status: 500, code: 'server_error', request_id: 4 });
  });

  it('S013 (differs) answers with whatever an action returns, and with null where that is nothing', async () => {
    await using a = await connect(app, '/custom/');
    for (const [action, data] of [
      ['returns_nothing', null],
      ['returns_null', null],
      ['returns_object', { a: 1 }],
      ['returns_list', [1, 2]],
      ['returns_text', 'text'],
    ] as const) {
      a.send({ action, request_id: 1 });
      expect(await a.receive()).to.deep.equal(reply(action, data));
    }
  });

  it('S014 (differs) sends JSON and bytes of the consumer’s own, in the envelope of a stream', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: 'sends_text', request_id: 1 });
    expect(await a.receive()).to.equal('raw text');
    expect(await a.receive()).to.deep.equal(reply('sends_text', null));
    a.send({ action: 'sends_binary', request_id: 2 });
    expect(await a.receive()).to.deep.equal(reply('sends_binary', null, 2));
    expect(a.binaries).to.deep.equal([new Uint8Array([0, 1])]);
    await using b = await connect(app, '/streams/');
    const stream = b.channel('custom');
    stream.send({ action: 'sends_text', request_id: 1 });
    expect(await stream.receive()).to.equal('raw text');
    expect(await stream.reply(1)).to.deep.equal(reply('sends_text', null));
    expect(await stream.request('sends_binary')).to.include({ response_status: 200 });
    expect(stream.binaries).to.deep.equal([new Uint8Array([0, 1])]);
  });

  it('S015 (differs) takes and sends valid JSON only', async () => {
    await using a = await connect(app, '/custom/');
    a.sendText('{"action":"value","request_id":NaN,"v":Infinity}');
    expect(await a.receive()).to.deep.equal(failure(null, 400, 'parse_error', 'The frame is not valid JSON.', null));
    a.send({ action: 'returns_nan', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('returns_nan', { v: null, i: null }));
  });

  it('S016 (differs) refuses duplicate keys', async () => {
    await using a = await connect(app, '/custom/');
    a.sendText('{"action":"nope","action":"value","request_id":1,"request_id":2,"v":1,"v":2}');
    expect(await a.receive()).to.deep.equal(failure('value', 400, 'parse_error', 'The key "action" occurs twice.', 2));
  });

  it('S017 answers the requests of one connection one at a time, in their order', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: 'slow_async', request_id: 1 });
    a.send({ action: 'echo', request_id: 2 });
    await a.expectSilence();
    slow.resolve();
    expect(await a.receive()).to.deep.equal(reply('slow_async', { slept: 0.5 }));
    expect(await a.receive()).to.deep.equal(reply('echo', {}, 2));
  });

  it('S019 (differs) closes the socket with the code of the action, once that is answered', async () => {
    await using a = await connect(app, '/custom/');
    a.send({ action: 'close_me', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('close_me', null));
    expect(await a.closed).to.equal(4321);
    await using b = await connect(app, '/custom/');
    b.send({ action: 'close_then_reply', request_id: 1 });
    expect(await b.receive()).to.deep.equal(reply('close_then_reply', 'bye'));
    expect(await b.closed).to.equal(4322);
  });

  it('S019 (differs) closes one stream of several, tells its client, and answers 410 there; the others live', async () => {
    await using a = await connect(app, '/streams/');
    const [custom, typed] = [a.channel('custom'), a.channel('typed')];
    expect(await custom.request('close_then_reply', { request_id: 1 })).to.deep.equal(reply('close_then_reply', 'bye'));
    const told = 'This stream was closed with code 4322 (Enough.).';
    expect(await custom.receive()).to.deep.equal(failure(null, 410, 'stream_closed', told, null));
    await custom.expectSilence();
    expect(await custom.request('echo', { request_id: 2 })).to.deep.equal(
      failure('echo', 410, 'stream_closed', told, 2),
    );
    typed.send({ type: 'echo', request_id: 3, a: 1 });
    expect(await typed.receive()).to.deep.equal(reply('echo', { a: 1 }, 3));
  });
});
