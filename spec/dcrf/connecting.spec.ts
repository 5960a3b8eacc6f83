import { once } from 'node:events';
import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  demultiplexer,
  NotAuthenticated,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  type Scope,
  type ScopeMiddleware,
  ServerClosing,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { WebSocket } from 'ws';
import { within } from '../support/deadline.js';
import { failure, reply } from '../support/frames.js';
import { offlineOrm } from '../support/offline-orm.js';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';
import { refusalOf } from '../support/sockets.js';

class NoConnect implements Permission {
  canConnect() {
    return false;
  }
}

class DeniesConnect implements Permission {
  canConnect(): boolean {
    throw new PermissionDenied('Members only.');
  }
}

class AsksToLogIn implements Permission {
  canConnect(): boolean {
    throw new NotAuthenticated();
  }
}

class BreaksAtConnect implements Permission {
  canConnect(): boolean {
    throw new Error('A secret.');
  }
}

@Consumer()
class ThingConsumer extends ApiConsumer {
  @Action()
  async list() {
    return [];
  }

  @Action()
  async subprotocol() {
    return this.scope.subprotocol ?? null;
  }
}

@Consumer()
@Permissions(NoConnect)
class NoConnectConsumer extends ThingConsumer {}

@Consumer()
@Permissions(DeniesConnect)
class DenyingConsumer extends ThingConsumer {}

@Consumer()
@Permissions(AsksToLogIn)
class LogInConsumer extends ThingConsumer {}

@Consumer()
@Permissions(BreaksAtConnect)
class BreakingConsumer extends ThingConsumer {}

@Consumer()
class RejectingConsumer extends ThingConsumer {
  protected override onConnect() {
    this.close(4001, 'Not today.');
  }
}

@Consumer()
class RefusingConsumer extends ThingConsumer {
  protected override onConnect() {
    throw new PermissionDenied();
  }
}

@Consumer({ subprotocols: ['chat.v2', 'chat.v1'] })
class ChatConsumer extends ThingConsumer {}

class LastSubprotocol implements ScopeMiddleware {
  apply(scope: Scope) {
    if (scope.query.has('last')) scope.subprotocol = scope.subprotocols.at(-1);
    if (scope.query.has('foreign')) scope.subprotocol = 'foreign';
  }
}

const routes = [
  path('/things/', ThingConsumer),
  path('/noconnect/', NoConnectConsumer),
  path('/denying/', DenyingConsumer),
  path('/log-in/', LogInConsumer),
  path('/breaking/', BreakingConsumer),
  path('/rejecting/', RejectingConsumer),
  path('/refusing/', RefusingConsumer),
  path('/chat/', ChatConsumer),
  path('/streams/', demultiplexer({ things: ThingConsumer, chat: ChatConsumer, rejecting: RejectingConsumer })),
];

describe('DCRF: connecting', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    ({ app } = serve(routes, { middleware: [LastSubprotocol] }));
  });

  it('S040 accepts without a greeting', async () => {
    await using a = await connect(app, '/things/');
    await a.expectSilence();
  });

  it('S041 (differs) agrees on the subprotocol that the client prefers, where the consumer names none', async () => {
    await using a = await connect(app, '/things/', { subprotocols: ['one', 'two'] });
    expect(a.subprotocol).to.equal('one');
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', []));
  });

  it('S041 (differs) agrees on the first of the consumer’s subprotocols that the client offers', async () => {
    await using a = await connect(app, '/chat/', { subprotocols: ['other', 'chat.v1', 'chat.v2'] });
    expect((await a.request('subprotocol')).data).to.equal('chat.v2');
    await using b = await connect(app, '/streams/', { subprotocols: ['chat.v1'] });
    expect((await b.channel('things').request('subprotocol')).data).to.equal('chat.v1');
  });

  it('S041 (differs) serves a client that offers no subprotocol, and refuses in time one that offers only foreign ones', async () => {
    await using a = await connect(app, '/chat/');
    expect((await a.request('subprotocol')).data).to.equal(null);
    const text = 'None of the offered subprotocols is spoken here. There are: chat.v2, chat.v1.';
    const refused = connect(app, '/chat/', { subprotocols: ['smtp'] });
    expect(await refused.catch((error: unknown) => error)).to.include({ status: 400, message: text });
  });

  it('S041 (differs) agrees on the one that a middleware chose, if the client offers it', async () => {
    await using a = await connect(app, '/chat/?last', { subprotocols: ['chat.v1', 'token.abc'] });
    expect(a.subprotocol).to.equal('token.abc');
    const refused = connect(app, '/chat/?foreign', { subprotocols: ['chat.v1'] });
    expect(await refused.catch((error: unknown) => error)).to.include({ status: 500 });
  });

  it('S041 (differs) tells clients over a network what was agreed on', async () => {
    const { port } = await app.listen({ host: '127.0.0.1' });
    const at = `ws://127.0.0.1:${port}`;
    for (const [url, offered, agreed] of [
      ['/things/', ['one', 'two'], 'one'],
      ['/chat/', ['chat.v1'], 'chat.v1'],
      ['/chat/', [], ''],
    ] as const) {
      const socket = new WebSocket(`${at}${url}`, [...offered]);
      await within(once(socket, 'open'), 'Opening');
      expect(socket.protocol).to.equal(agreed);
      socket.close();
    }
  });

  it('S042 (differs) refuses with 401 where no user is logged in, else with 403, where canConnect says no', async () => {
    expect(await refusal(app, '/noconnect/')).to.include({ status: 401 });
    const refused = connect(app, '/noconnect/', { user: { id: 1 } });
    expect(await refused.catch((error: unknown) => error)).to.include({ status: 403 });
  });

  it('S044 refuses with 403 and its text where canConnect throws PermissionDenied', async () => {
    expect(await refusal(app, '/denying/')).to.include({ status: 403, message: 'Members only.' });
  });

  it('S045 (differs) refuses with the status of any other API error, and with 500 for the rest', async () => {
    expect(await refusal(app, '/log-in/')).to.include({ status: 401 });
    expect(await refusal(app, '/breaking/')).to.include({ status: 500, code: 'server_error' });
  });

  it('S046 (differs) opens and is closed at once with the code that onConnect gives', async () => {
    await using a = await connect(app, '/rejecting/');
    expect(await a.closed).to.equal(4001);
    await using b = await connect(app, '/streams/');
    const stream = b.channel('rejecting');
    stream.send({ action: 'list', request_id: 1 });
    const text = 'This stream was closed with code 4001 (Not today.).';
    expect(await stream.receive()).to.deep.equal(failure('list', 410, 'stream_closed', text));
    expect(await stream.receive()).to.deep.equal(failure(null, 410, 'stream_closed', text, null));
    expect(await b.channel('things').request('list', { request_id: 2 })).to.deep.equal(reply('list', [], 2));
  });

  it('S047 (differs) answers every request with what onConnect threw', async () => {
    await using a = await connect(app, '/refusing/');
    const text = 'You do not have permission to perform this action.';
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(failure('list', 403, 'permission_denied', text));
    expect(await a.request('list', { request_id: 2 })).to.include({ response_status: 403 });
  });

  it('S049 (differs) refuses a path without a route with 404', async () => {
    expect(await refusal(app, '/nothing-here/')).to.include({ status: 404 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    expect(await refusalOf(`ws://127.0.0.1:${port}/nothing-here/`)).to.deep.equal({
      status: 404,
      sentence: 'Nothing is served at this path.',
    });
  });

  it('refuses a close code or a reason that no socket could send', async () => {
    @Consumer()
    class WrongConsumer extends ApiConsumer {
      @Action()
      async wrong() {
        const texts: unknown[] = [];
        for (const [code, reason] of [
          [1005, ''],
          [5000, ''],
          [4000, 'x'.repeat(124)],
        ] as const) {
          try {
            this.close(code, reason);
          } catch (error) {
            texts.push(error instanceof RangeError && error.message);
          }
        }
        return texts;
      }
    }
    const { app: other } = serve([path('/', WrongConsumer)]);
    await using a = await connect(other, '/');
    expect((await a.request('wrong')).data).to.deep.equal([
      'A close code is 1000, or 3000 to 4999, not 1005.',
      'A close code is 1000, or 3000 to 4999, not 5000.',
      'The reason of a close is at most 123 bytes long.',
    ]);
  });

  it('refuses every client once the application is closed', async () => {
    const closed = createApp({ orm: await offlineOrm(), routes });
    await closed.close();
    const refused = connect(closed, '/things/');
    expect(await refused.catch((error: unknown) => error)).to.be.instanceOf(ServerClosing);
  });
});
