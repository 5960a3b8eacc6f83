import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, type App, type AppApi, Consumer, createApp, path } from 'signalbox';
import { type Client, createClient, type HandshakeFacts, webSocketWith } from 'signalbox/client';
import { offlineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';

@Consumer()
class EchoConsumer extends ApiConsumer {
  @Action()
  async facts({ scope: { headers, cookies } }: ActionContext) {
    return {
      origin: headers.origin ?? null,
      agent: headers['user-agent'] ?? null,
      room: headers['x-room'] ?? null,
      cookies,
    };
  }
}

const routes = [path('/ws/', EchoConsumer)] as const;
type Api = AppApi<App<typeof routes>>;

describe('A client in Node.js that sends headers and cookies', () => {
  let app: App<typeof routes>;
  let address: string;
  let client: Client<Api>;

  before(async () => {
    const { container } = testProviders();
    app = createApp({ orm: await offlineOrm(), container, routes });
    const { port } = await app.listen({ host: '127.0.0.1' });
    address = `127.0.0.1:${port}`;
  });
  after(() => app.close());
  afterEach(() => client?.$close());

  const open = (facts: HandshakeFacts | (() => HandshakeFacts)): Client<Api> => {
    client = createClient<Api>(`ws://${address}/ws/`, { WebSocket: webSocketWith(facts), firstDelay: 0 });
    return client;
  };

  it('sends the headers, and no origin', async () => {
    const headers = { 'x-room': 'red', 'user-agent': 'robot' };
    expect(await open({ headers }).facts()).to.deep.equal({ origin: null, agent: 'robot', room: 'red', cookies: {} });
  });

  it('sends cookies with the origin of the server, which reads them as they were', async () => {
    const cookies = { session: 'a;b="c" %41', other: 'ä' };
    expect(await open({ cookies }).facts()).to.deep.include({ origin: `http://${address}`, cookies });
  });

  it('names the origin that its headers name', async () => {
    const facts = { headers: { origin: `http://${address}`, 'x-room': 'blue' }, cookies: { session: '1' } };
    expect(await open(facts).facts()).to.deep.include({ origin: `http://${address}`, room: 'blue' });
  });

  it('asks a function before every attempt', async () => {
    let count = 0;
    open(() => ({ headers: { 'x-room': String(++count) } }));
    expect((await client.facts()).room).to.equal('1');
    client.$reconnect();
    expect((await client.facts()).room).to.equal('2');
  });

  it('is refused in a page, with both ways out', () => {
    Reflect.set(globalThis, 'document', {});
    try {
      expect(() => webSocketWith({})).to.throw(
        TypeError,
        'A page sets no headers and no cookies of a socket. Use the option token, or let the server set a cookie.',
      );
    } finally {
      Reflect.deleteProperty(globalThis, 'document');
    }
  });

  it('takes texts only', () => {
    // @ts-expect-error A header is a text.
    webSocketWith({ headers: { 'x-room': 1 } });
    // @ts-expect-error There is no such fact.
    webSocketWith({ cookie: 'session=1' });
  });
});
