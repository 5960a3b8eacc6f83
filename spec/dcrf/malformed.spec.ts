import { expect } from 'chai';
import { IsInt } from 'class-validator';
import { Action, ApiConsumer, type App, ConfigurationError, Consumer, createApp, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { failure, reply } from '../support/frames.js';
import { offlineOrm } from '../support/offline-orm.js';
import { useServer } from '../support/serving.js';

class Keyed {
  @IsInt()
  pk!: number;
}

@Consumer()
class ThingConsumer extends ApiConsumer {
  @Action()
  async list() {
    return [];
  }

  @Action()
  async needsArg({ pk }: Keyed) {
    return pk;
  }

  @Action()
  async noKwargs() {
    return 'none';
  }

  @Action()
  async returnsTuple3() {
    return [1, 2, 3];
  }
}

@Consumer({ binary: true })
class BinaryConsumer extends ApiConsumer {
  @Action()
  async list() {
    return [];
  }

  protected override async onBinary(data: Uint8Array) {
    if (data.length === 0) throw new Error('Nothing in there.');
    this.sendBinary(data.toReversed());
  }
}

describe('DCRF: malformed frames', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    ({ app } = serve([path('/things/', ThingConsumer), path('/binary/', BinaryConsumer)]));
  });

  /** What a frame is answered with; the socket lives on. */
  async function answerTo(text: string): Promise<unknown> {
    await using a = await connect(app, '/things/');
    a.sendText(text);
    const answer = await a.receive();
    expect(await a.request('list')).to.include({ response_status: 200 });
    return answer;
  }

  const noObject = 'A frame has to be a JSON object.';

  it('S024 (differs) answers 400 to an empty text frame', async () => {
    expect(await answerTo('')).to.deep.equal(failure(null, 400, 'parse_error', 'The frame is not valid JSON.', null));
  });

  it('S025 (differs) closes the socket with 1003 at a binary frame', async () => {
    await using a = await connect(app, '/things/');
    a.sendBinary(Buffer.from('{"action":"list","request_id":1}'));
    expect(await a.closed).to.equal(1003);
  });

  it('S025 (differs) hands a binary frame to a consumer that declares them, and answers what it throws', async () => {
    await using a = await connect(app, '/binary/');
    a.sendBinary(new Uint8Array([1, 2, 3]));
    expect(await a.request('list')).to.include({ response_status: 200 });
    expect(a.binaries).to.deep.equal([new Uint8Array([3, 2, 1])]);
    a.sendBinary(new Uint8Array());
    expect(await a.receive()).to.include({ response_status: 500, action: null, request_id: null });
    expect(await a.request('list')).to.include({ response_status: 200 });
  });

  it('S025 (differs) refuses to start a consumer that could not take the binary frames that it declares', async () => {
    @Consumer({ binary: true })
    class DeafConsumer extends ApiConsumer {}
    const orm = await offlineOrm();
    expect(() => createApp({ orm, routes: [path('/', DeafConsumer)] })).to.throw(
      ConfigurationError,
      'DeafConsumer: declares binary frames, but does not handle them. Override onBinary(data), or drop { binary: true }.',
    );
  });

  it('S026 (differs) answers 400 to a JSON array', async () => {
    expect(await answerTo('[{"action":"list","request_id":1}]')).to.deep.equal(
      failure(null, 400, 'parse_error', noObject, null),
    );
  });

  it('S027 (differs) answers 400 to an empty JSON array', async () => {
    expect(await answerTo('[]')).to.deep.equal(failure(null, 400, 'parse_error', noObject, null));
  });

  it('S029 (differs) answers 400 to an action that is a list or an object', async () => {
    for (const action of [['list'], { a: 1 }]) {
      expect(await answerTo(JSON.stringify({ action, request_id: 1 }))).to.deep.equal(
        failure(null, 400, 'parse_error', 'The action has to be a string.'),
      );
    }
  });

  it('S030 (differs) knows no forbidden key but __proto__', async () => {
    for (const key of ['self', 'scope', 'consumer', 'queryset', 'view', 'this', 'constructor']) {
      expect(await answerTo(`{"action":"list","${key}":1,"request_id":1}`)).to.deep.equal(reply('list', []));
    }
    expect(await answerTo('{"action":"list","__proto__":1,"request_id":1}')).to.deep.equal(
      failure('list', 400, 'parse_error', 'The key "__proto__" may not be used here.'),
    );
  });

  it('S031 (differs) answers 400 where a kwarg is missing, and gives an action without kwargs none', async () => {
    expect(await answerTo('{"action":"needs_arg","request_id":1}')).to.deep.equal(
      failure('needs_arg', 400, 'validation_failed', { pk: ['pk must be an integer number.'] }),
    );
    expect(await answerTo('{"action":"no_kwargs","request_id":1}')).to.deep.equal(reply('no_kwargs', 'none'));
  });

  it('S032 (differs) shows an array of three as what it is', async () => {
    expect(await answerTo('{"action":"returns_tuple3","request_id":1}')).to.deep.equal(
      reply('returns_tuple3', [1, 2, 3]),
    );
  });
});
