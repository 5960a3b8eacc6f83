import { once } from 'node:events';
import { expect } from 'chai';
import { type App, path, subprotocolToken } from 'signalbox';
import { createClient } from 'signalbox/client';
import { connect } from 'signalbox/testing';
import { WebSocket } from 'ws';
import { within } from '../support/deadline.js';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';
import { RawClient, upgradeRequest } from '../support/sockets.js';
import { ApiTokens, asked, ChatConsumer, WhoConsumer } from './authentication-support.js';

const aloneText = 'Offer a subprotocol beside the token, such as signalbox.';

describe('A token among the subprotocols', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    asked.length = 0;
    const middleware = [subprotocolToken(ApiTokens)];
    ({ app } = serve([
      path('/ws/', WhoConsumer, { middleware }),
      path('/chat/', ChatConsumer, { middleware }),
      path('/without/', WhoConsumer),
    ]));
  });

  it('authenticates the connection, and is shown to no code afterwards', async () => {
    await using ann = await connect(app, '/ws/', { subprotocols: ['bearer.ann', 'signalbox'] });
    expect((await ann.request('who')).data).to.deep.nested.include({
      'identity.userId': '1',
      subprotocols: ['signalbox'],
    });
  });

  const agreements: readonly [string, readonly string[], string][] = [
    ['/ws/', ['signalbox', 'bearer.ann'], 'signalbox'],
    ['/ws/', ['bearer.ann', 'other', 'signalbox'], 'other'],
    ['/chat/', ['bearer.ann', 'chat.v2'], 'chat.v2'],
    ['/chat/', ['signalbox', 'bearer.ann', 'chat.v2'], 'chat.v2'],
    ['/chat/', ['signalbox', 'bearer.ann'], 'signalbox'],
    ['/without/', ['bearer.ann', 'signalbox'], 'signalbox'],
  ];
  for (const [url, offered, agreed] of agreements) {
    it(`is never agreed on: ${url} answers ${agreed} to ${offered.join(', ')}`, async () => {
      const { port } = await app.listen({ host: '127.0.0.1' });
      const socket = new WebSocket(`ws://127.0.0.1:${port}${url}`, [...offered]);
      await within(once(socket, 'open'), 'Opening');
      expect(socket.protocol).to.equal(agreed);
      socket.close();
    });
  }

  it('alone is refused in time, because a browser would hang up without a word', async () => {
    const { port } = await app.listen({ host: '127.0.0.1' });
    for (const url of ['/ws/', '/chat/', '/without/']) {
      using client = await RawClient.open(port);
      client.write(upgradeRequest(url, { 'Sec-WebSocket-Protocol': 'bearer.ann' }));
      const answer = await client.hear(`${aloneText}\n`);
      expect(answer).to.match(/^HTTP\/1\.1 400 /);
      expect(answer).not.to.include('bearer');
    }
  });

  it('beside foreign ones only is refused with those that are spoken', async () => {
    expect(await refusal(app, '/chat/', { subprotocols: ['bearer.ann', 'smtp'] })).to.include({
      status: 400,
      message: 'None of the offered subprotocols is spoken here. There are: chat.v2.',
    });
  });

  it('is refused with 401 where it proves nothing, or is not alone', async () => {
    for (const offered of [['bearer.nobody'], ['bearer.old'], ['bearer.'], ['bearer.ann', 'bearer.bob']])
      expect(await refusal(app, '/ws/', { subprotocols: ['signalbox', ...offered] }), offered.join()).to.include({
        status: 401,
        message: 'The token is not valid.',
      });
    expect(asked).to.deep.equal(['token nobody', 'token old']);
  });

  for (const url of ['/ws/', '/chat/']) {
    it(`is what the client of the package offers, at ${url}`, async () => {
      const { port } = await app.listen({ host: '127.0.0.1' });
      const client = createClient(`ws://127.0.0.1:${port}${url}`, { token: () => 'ann' });
      const who = await within(client.$request(null, { action: 'who' }), 'The reply');
      expect(who).to.deep.nested.include({ 'identity.userId': '1', subprotocols: ['signalbox'] });
      client.$close();
    });
  }

  it('is not asked for: a client that offers none is no user', async () => {
    await using ann = await connect(app, '/ws/', { subprotocols: ['signalbox'] });
    expect((await ann.request('who')).data).to.deep.include({ identity: null });
  });
});
