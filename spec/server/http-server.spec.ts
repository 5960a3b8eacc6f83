import { Server } from 'node:http';
import { expect } from 'chai';
import { closeServer, listening } from '#signalbox/server/http-server.js';

class NotingServer extends Server {
  asked: unknown[] = [];

  override listen(...asked: unknown[]): this {
    this.asked = asked;
    return super.listen(...(asked as [number]));
  }
}

describe('A server that listens', () => {
  it('lets 4 096 sockets wait to be accepted, so that all clients of a server that is gone may come at once', async () => {
    const server = new NotingServer();
    await listening(server, 0, '127.0.0.1');
    expect(server.asked.slice(0, 3)).to.deep.equal([0, '127.0.0.1', 4_096]);
    await closeServer(server);
  });
});
