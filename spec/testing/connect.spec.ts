import { once } from 'node:events';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  demultiplexer,
  IsAuthenticated,
  NotAuthenticated,
  NotFound,
  PermissionDenied,
  Permissions,
  path,
} from 'signalbox';
import { connect, TestConnection } from 'signalbox/testing';
import { until } from '../support/deadline.js';
import { useServer } from '../support/serving.js';

let told: string[] = [];

@Permissions(IsAuthenticated)
@Consumer()
class EchoConsumer extends ApiConsumer {
  protected override async onDisconnect(code: number): Promise<void> {
    await null;
    told.push(`gone with ${code}`);
  }

  @Action()
  async echo({ scope, kwargs }: ActionContext) {
    const { user, session, headers, cookies } = scope;
    return { user, session, headers, cookies: { ...cookies }, kwargs };
  }

  @Action()
  async *count() {
    yield 1;
    yield 2;
    return 3;
  }

  @Action()
  async wait({ signal }: ActionContext) {
    await once(signal, 'abort');
  }
}

const user = { id: 1 };

describe('connect', () => {
  const serve = useServer();
  let app: App;

  beforeEach(() => {
    told = [];
    const routes = [path('/one/', EchoConsumer), path('/many/', demultiplexer({ a: EchoConsumer, b: EchoConsumer }))];
    ({ app } = serve(routes));
  });

  it('sends a request and gives its reply', async () => {
    await using ann = await connect(app, '/one/', { user });
    expect(ann).to.be.instanceOf(TestConnection);
    expect(await ann.request('echo', { text: 'hi' })).to.deep.nested.include({
      request_id: 'test-1',
      response_status: 200,
      'data.kwargs': { text: 'hi' },
    });
    expect(await ann.request('echo')).to.include({ request_id: 'test-2' });
    expect(await ann.request('echo', { request_id: 7 })).to.include({ request_id: 7 });
  });

  it('logs a user in, with session, headers and cookies', async () => {
    await using ann = await connect(app, '/one/', {
      user,
      session: { key: 'k' },
      headers: { 'X-Tenant': 'blue', Cookie: 'a=1' },
      cookies: { session: 'ä; b=2' },
    });
    expect(await ann.request('echo')).to.deep.include({
      data: {
        user: { id: 1 },
        session: { key: 'k' },
        headers: { 'x-tenant': 'blue', cookie: 'a=1; session=%C3%A4%3B%20b%3D2' },
        cookies: { a: '1', session: 'ä; b=2' },
        kwargs: {},
      },
    });
  });

  it('prepares any other fact of the scope', async () => {
    await using ann = await connect(app, '/one/', {
      prepare: (scope) => {
        scope.user = 'ann';
      },
    });
    expect(await ann.request('echo')).to.deep.nested.include({ 'data.user': 'ann' });
  });

  it('throws what refuses the handshake', async () => {
    expect(await thrownBy(connect(app, '/one/'))).to.be.instanceOf(NotAuthenticated);
    expect(await thrownBy(connect(app, '/none/', { user }))).to.be.instanceOf(NotFound);
    const headers = { Origin: 'https://evil.example', Host: 'example.org' };
    expect(await thrownBy(connect(app, '/one/', { user, headers }))).to.be.instanceOf(PermissionDenied);
  });

  it('gives the frames in their order, and shows what did arrive where a deadline passes', async () => {
    await using ann = await connect(app, '/one/', { user });
    ann.send({ action: 'count', request_id: 7 });
    expect(await ann.receive()).to.include({ response_status: 206, data: 1 });
    expect(await ann.receive()).to.include({ response_status: 206, data: 2 });
    expect(await ann.receive()).to.include({ response_status: 200, data: 3 });
    expect(await thrownBy(ann.receive({ timeout: 5 }))).to.have.property(
      'message',
      'Nothing fitting arrived within 5 ms. There is: []',
    );
    ann.send({ action: 'nothing', request_id: 8 });
    await until(() => ann.frames.length === 4, 'The reply');
    expect(await thrownBy(ann.reply(9, { timeout: 5 })))
      .to.have.property('message')
      .that.matches(/^Nothing fitting arrived within 5 ms\. There is: \[\{.*"request_id":8,.*\}\]$/);
  });

  it('gives the final reply of a request, and leaves its parts', async () => {
    await using ann = await connect(app, '/one/', { user });
    expect(await ann.request('count')).to.include({ response_status: 200, data: 3 });
    expect(await ann.receive()).to.include({ response_status: 206, data: 1 });
    expect(ann.frames.map(({ data }) => data)).to.deep.equal([1, 2, 3]);
  });

  it('waits for a request no longer than it is told to', async () => {
    await using ann = await connect(app, '/one/', { user });
    expect(await thrownBy(ann.request('wait', {}, { timeout: 5 }))).to.have.property(
      'message',
      'Nothing fitting arrived within 5 ms. There is: []',
    );
  });

  it('expects silence, and shows what broke it', async () => {
    await using ann = await connect(app, '/one/', { user });
    await ann.expectSilence();
    await ann.request('count');
    expect(await thrownBy(ann.expectSilence()))
      .to.have.property('message')
      .that.matches(/^Silence was expected\. There came: \[\{.*"data":1.*\},\{.*"data":2.*\}\]$/);
    await ann.expectSilence();
  });

  it('speaks to each stream of a demultiplexer by itself', async () => {
    await using ann = await connect(app, '/many/', { user });
    const [a, b] = [ann.channel('a'), ann.channel('b')];
    expect(ann.channel('a')).to.equal(a);
    expect(await a.request('echo', { n: 1 })).to.deep.nested.include({ request_id: 'test-1', 'data.kwargs': { n: 1 } });
    expect(await b.request('echo', { n: 2 })).to.deep.nested.include({ request_id: 'test-1', 'data.kwargs': { n: 2 } });
    await a.expectSilence();
    ann.send({ stream: 'c', payload: { action: 'echo', request_id: 1 } });
    expect(await ann.receive()).to.deep.nested.include({ stream: 'c', 'payload.response_status': 404 });
  });

  it('closes with the code that it is given', async () => {
    const ann = await connect(app, '/one/', { user });
    ann.close(4001);
    expect(await ann.closed).to.equal(4001);
    await ann.ended;
    expect(told).to.deep.equal(['gone with 4001']);
  });

  it('is over for the server at the end of its block', async () => {
    {
      await using _ann = await connect(app, '/one/', { user });
    }
    expect(told).to.deep.equal(['gone with 1000']);
  });

  it('closes with 1003 at a binary frame', async () => {
    const ann = await connect(app, '/one/', { user });
    ann.sendBinary();
    expect(await ann.closed).to.equal(1003);
    ann.send({ action: 'echo' });
    await ann.expectSilence();
  });

  it('is told 1001 by an application that closes', async () => {
    const ann = await connect(app, '/one/', { user });
    const reply = ann.request('wait');
    await app.close();
    expect(await reply).to.include({ response_status: 503 });
    expect(await ann.closed).to.equal(1001);
  });
});

async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
