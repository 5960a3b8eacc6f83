import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  type AppApi,
  ConfigurationError,
  Consumer,
  createApp,
  demultiplexer,
  path,
} from 'signalbox';
import { binaryFrames, createClient } from 'signalbox/client';
import { connect, type TestConnection } from 'signalbox/testing';
import { Inbox } from '#signalbox/testing/inbox.js';
import { patience } from '../support/deadline.js';
import { offlineOrm } from '../support/offline-orm.js';
import { useServer } from '../support/serving.js';

@Consumer({ binary: true })
class MirrorConsumer extends ApiConsumer {
  @Action()
  async name() {
    return 'mirror';
  }

  protected override onBinary(data: Uint8Array): void {
    if (data.length === 0) throw new RangeError('There is nothing.');
    this.sendBinary(data.toReversed());
  }
}

@Consumer()
class TextConsumer extends ApiConsumer {
  @Action()
  async beep() {
    this.sendBinary(new Uint8Array([7]));
    return null;
  }
}

const routes = [
  path('/one/', MirrorConsumer),
  path('/many/', demultiplexer({ left: MirrorConsumer, right: MirrorConsumer, text: TextConsumer })),
  path('/texts/', demultiplexer({ text: TextConsumer })),
];

/** For its type: the API of both routes that take binary frames. */
function many(app: App) {
  return createApp({ orm: app.orm, routes: [path('/', demultiplexer({ left: MirrorConsumer, text: TextConsumer }))] });
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

describe('Binary frames', () => {
  const serve = useServer();
  let app: App;
  let client: TestConnection;

  beforeEach(async () => {
    ({ app } = serve(routes));
    client = await connect(app, '/many/');
  });

  const mistake = (sentence: string): object => ({
    errors: [sentence],
    data: null,
    action: null,
    response_status: 400,
    request_id: null,
    code: 'parse_error',
  });

  it('go to the stream that they name, and come from it', async () => {
    const [left, right] = [client.channel('left'), client.channel('right')];
    left.sendBinary(bytes(1, 2));
    right.sendBinary(bytes(3, 4));
    await Promise.all([left.request('name'), right.request('name')]);
    expect(left.binaries).to.deep.equal([bytes(2, 1)]);
    expect(right.binaries).to.deep.equal([bytes(4, 3)]);
  });

  it('come from a stream that takes none as well', async () => {
    const text = client.channel('text');
    await text.request('beep');
    expect(text.binaries).to.deep.equal([bytes(7)]);
  });

  it('are one byte for the length of the name, the name, and the data', async () => {
    client.sendBinary(bytes(4, 0x6c, 0x65, 0x66, 0x74, 9, 8));
    await client.channel('right').request('name');
    expect(client.binaries).to.deep.equal([bytes(4, 0x6c, 0x65, 0x66, 0x74, 8, 9)]);
  });

  it('are answered in their stream where the consumer throws, or takes none', async () => {
    const [left, text] = [client.channel('left'), client.channel('text')];
    left.sendBinary(bytes());
    expect(await left.receive()).to.include({ response_status: 500, request_id: null });
    text.sendBinary(bytes(1));
    expect(await text.receive()).to.deep.equal(mistake('The stream "text" accepts no binary frames.'));
    expect(await left.request('name')).to.include({ response_status: 200 });
  });

  it('are answered where they name no stream, or none that there is', async () => {
    client.sendBinary(bytes(5, 1));
    expect(await client.receive()).to.deep.equal({
      stream: null,
      payload: mistake('A binary frame has to begin with the name of its stream.'),
    });
    client.sendBinary(bytes(1, 0x7a, 1));
    expect(await client.receive()).to.deep.equal({
      stream: 'z',
      payload: {
        ...mistake('No stream "z". There are: left, right, text.'),
        response_status: 404,
        code: 'stream_not_found',
      },
    });
    await client.channel('left').request('name');
  });

  it('end with 1003 a connection of which no stream takes any', async () => {
    const texts = await connect(app, '/texts/');
    texts.channel('text').sendBinary(bytes(1));
    expect(await texts.closed).to.equal(1003);
  });

  it('have no header on a route without streams', async () => {
    await using one = await connect(app, '/one/');
    one.sendBinary(bytes(1, 2, 3));
    await one.request('name');
    expect(one.binaries).to.deep.equal([bytes(3, 2, 1)]);
  });

  it('need a name of a stream that one byte can count', async () => {
    const orm = await offlineOrm();
    expect(() =>
      createApp({ orm, routes: [path('/', demultiplexer({ ['é'.repeat(128)]: MirrorConsumer }))] }),
    ).to.throw(
      ConfigurationError,
      `createApp./: has the stream "${'é'.repeat(32)}…", whose name has more than 255 bytes. Shorten it: binary frames count it in one byte.`,
    );
  });

  it('are sent and heard by the client, by the name of the stream or without one', async () => {
    const { port } = await app.listen({ host: '127.0.0.1' });
    const streams = createClient<AppApi<ReturnType<typeof many>>>(`ws://127.0.0.1:${port}/many/`);
    const alone = createClient(`ws://127.0.0.1:${port}/one/`);
    const heard = new Inbox<unknown>();
    const left = binaryFrames(streams, 'left');
    const text = binaryFrames(streams, 'text');
    const one = binaryFrames(alone);
    expect(left.send(bytes(1))).to.equal(false);
    await streams.left.name();
    await alone.$request(null, { action: 'name' });
    left.onFrame((data) => heard.put(['left', data]));
    text.onFrame((data) => heard.put(['text', data]));
    one.onFrame((data) => heard.put(['one', data]));
    expect(left.send(bytes(1, 2))).to.equal(true);
    expect(await heard.take(patience)).to.deep.equal(['left', bytes(2, 1)]);
    await streams.text.beep();
    expect(await heard.take(patience)).to.deep.equal(['text', bytes(7)]);
    one.send(bytes(3, 4));
    expect(await heard.take(patience)).to.deep.equal(['one', bytes(4, 3)]);
    for (const each of [streams, alone]) each.$close();
  });
});
