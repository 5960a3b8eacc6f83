import { Server } from 'node:http';
import { expect } from 'chai';
import { defaultLimits } from '#signalbox/limits.js';
import { closeServer, listening, socketsOnly } from '#signalbox/server/http-server.js';

class NotingServer extends Server {
  asked: unknown[] = [];

  override listen(...asked: unknown[]): this {
    this.asked = asked;
    return super.listen(...(asked as [number]));
  }
}

describe('The server of listen', () => {
  const timesOf = (limits: object) => {
    const { headersTimeout, requestTimeout } = socketsOnly({ ...defaultLimits, ...limits }, () => false);
    return { headersTimeout, requestTimeout };
  };

  it('waits 10 s for headers and 15 s for a request', () => {
    expect(timesOf({})).to.deep.equal({ headersTimeout: 10_000, requestTimeout: 15_000 });
  });

  it('waits as long as its settings say, and for a request no shorter than for its headers', () => {
    expect(timesOf({ headersTime: 3_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 3_000,
      requestTimeout: 4_000,
    });
    expect(timesOf({ headersTime: 5_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 5_000,
      requestTimeout: 5_000,
    });
  });

  it('lets 4 096 sockets wait to be accepted, so that all clients of a server that is gone may come at once', async () => {
    const server = new NotingServer();
    await listening(server, 0, '127.0.0.1');
    expect(server.asked.slice(0, 3)).to.deep.equal([0, '127.0.0.1', 4_096]);
    await closeServer(server);
  });
});
