import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Balancer } from '../../src/cluster/balancer.js';

/** A process that answers each request with what it received, and upgrades sockets to an echo. */
class Backend {
  isReady = true;
  port = 0;
  private readonly server: Server = createServer();

  constructor(readonly name: string) {}

  async start(): Promise<void> {
    this.server.on('request', async (request, response) => {
      if (request.url === '/readyz') return response.writeHead(this.isReady ? 200 : 503).end();
      const seen = { name: this.name, ...this.seen(request), body: await text(request) };
      return response.setHeader('set-cookie', ['a=1', 'b=2']).end(JSON.stringify(seen));
    });
    this.server.on('upgrade', (request, socket, head) => {
      if (request.url === '/refused') return socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nNo');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n${this.name}:`);
      socket.write(head);
      return socket.pipe(socket);
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as { port: number }).port;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private seen({ method, url, headers }: IncomingMessage) {
    return { method, url, host: headers.host, address: headers['x-forwarded-for'] };
  }
}

describe('Balancer', () => {
  let balancer: Balancer;
  let backends: [Backend, Backend];
  let port: number;
  let said: string[];

  beforeEach(async () => {
    said = [];
    balancer = new Balancer((line) => said.push(line));
    port = await balancer.listen({ host: '127.0.0.1', port: 0 });
    backends = [new Backend('one'), new Backend('two')];
    await Promise.all(backends.map((backend) => backend.start()));
  });
  afterEach(() => {
    balancer.close();
    for (const backend of backends) backend.stop();
  });

  const addAll = () => Promise.all(backends.map(({ name, port }) => balancer.add(name, port)));
  const get = (path = '/', init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init);
  const servedBy = async () => ((await (await get()).json()) as { name: string }).name;

  /** All bytes of a socket that requests an upgrade, sends a word and ends. */
  async function upgraded(path = '/socket'): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    const head = `GET ${path} HTTP/1.1\r\nhost: chat\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n`;
    socket.end(`${head}hello`);
    return text(socket);
  }

  it('gives requests to one process after the other', async () => {
    await addAll();
    const names = [await servedBy(), await servedBy(), await servedBy(), await servedBy()];
    expect([...names].sort()).to.deep.equal(['one', 'one', 'two', 'two']);
    expect(names[0]).to.equal(names[2]);
  });

  it('passes on what a client sends, but for what it says of its own address', async () => {
    await balancer.add('one', backends[0].port);
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    const answer = await get('/path?query', { method: 'POST', body: 'the body', headers });
    expect(await answer.json()).to.deep.equal({
      name: 'one',
      method: 'POST',
      url: '/path?query',
      host: `127.0.0.1:${port}`,
      address: '127.0.0.1',
      body: 'the body',
    });
    expect(answer.headers.getSetCookie()).to.deep.equal(['a=1', 'b=2']);
  });

  it('gives sockets to one process after the other, and passes on both directions', async () => {
    await addAll();
    const heard = [await upgraded(), await upgraded()].map((all) => all.split('\r\n\r\n').at(-1));
    expect(heard.sort()).to.deep.equal(['one:hello', 'two:hello']);
    expect(said.slice(-2).sort()).to.deep.equal(['a socket goes to one', 'a socket goes to two']);
  });

  it('passes on the refusal of an upgrade', async () => {
    await balancer.add('one', backends[0].port);
    expect(await upgraded('/refused')).to.match(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*\r\n\r\nNo$/);
  });

  it('answers 503 while no process is ready', async () => {
    expect((await get()).status).to.equal(503);
    expect(await upgraded()).to.match(/^HTTP\/1\.1 503 /);
  });

  it('asks another process instead of one that has just ended', async () => {
    await addAll();
    backends[0].stop();
    expect(await Promise.all([upgraded(), upgraded()])).to.satisfy((all: string[]) =>
      all.every((text) => text.endsWith('two:hello')),
    );
    expect([await servedBy(), await servedBy()]).to.deep.equal(['two', 'two']);
  });

  it('asks nobody else to do what the client may have done', async () => {
    await balancer.add('one', backends[0].port);
    backends[0].stop();
    expect((await get('/', { method: 'POST' })).status).to.equal(502);
    expect((await get()).status).to.equal(503);
  });

  it('gives nothing to a process that says it is not ready, and to its successor again', async () => {
    await addAll();
    backends[0].isReady = false;
    while ((await servedBy()) === 'one' || (await servedBy()) === 'one');
    expect([await servedBy(), await servedBy()]).to.deep.equal(['two', 'two']);
    backends[0].isReady = true;
    await balancer.add('one', backends[0].port);
    expect([await servedBy(), await servedBy()].sort()).to.deep.equal(['one', 'two']);
  });
});
