import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { type Settings, StartError } from '../settings.js';

/** Milliseconds between two requests of `/readyz`. Far below the DRAIN_DELAY of the processes. */
const INTERVAL = 200;
/** Milliseconds that a process has for its answer. */
const PATIENCE = 2_000;

/** A process that serves the chat. */
export interface Backend {
  readonly name: string;
  readonly port: number;
  isReady: boolean;
}

/**
 * One address for several processes: each request and each socket goes to the next process that wants clients, as its /readyz
 * says. No client is tied to a process. It represents nginx and similar programs, which do all of this and more.
 */
export class Balancer {
  private readonly backends = new Map<string, Backend>();
  private readonly server = createServer();
  private readonly turns = { requests: 0, sockets: 0 };

  /** @param say called when a process gets clients, and when a socket is assigned to a process */
  constructor(private readonly say: (line: string) => void) {}

  /** @returns the port */
  async listen({ host, port }: Pick<Settings, 'host' | 'port'>): Promise<number> {
    this.server.on('request', (incoming, response) => this.forward(incoming, response));
    this.server.on('upgrade', (incoming, socket, head) => this.forwardUpgrade(incoming, socket, head));
    await once(this.server.listen(port, host), 'listening').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      throw new StartError(`Port ${port} is taken: stop the program that uses it, or choose another one with PORT.`);
    });
    return (this.server.address() as AddressInfo).port;
  }

  /** Replaces the process of the same name. Resolves when the new one wants clients, or has been replaced itself. */
  async add(name: string, port: number): Promise<void> {
    const backend = { name, port, isReady: false };
    this.backends.set(name, backend);
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = async () => {
      const isReady = await isReadyAt(port);
      if (this.backends.get(name) !== backend) return resolve();
      if (isReady !== backend.isReady) this.say(`${name} ${isReady ? 'gets' : 'gets no'} new clients`);
      backend.isReady = isReady;
      if (isReady) resolve();
      setTimeout(check, INTERVAL).unref();
    };
    void check();
    return promise;
  }

  close(): void {
    this.backends.clear();
    this.server.close();
    this.server.closeAllConnections();
  }

  private next(kind: 'requests' | 'sockets'): Backend | undefined {
    const ready = [...this.backends.values()].filter(({ isReady }) => isReady);
    this.turns[kind] += 1;
    return ready[this.turns[kind] % ready.length];
  }

  private forward(incoming: IncomingMessage, response: ServerResponse): void {
    const backend = this.next('requests');
    if (!backend) return void response.writeHead(503, { 'retry-after': '1' }).end('No process is ready.\n');
    // The request changes nothing, so that another process may answer it instead of one that has just died.
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD';
    const outgoing = requestTo(backend, incoming);
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
      pipeline(answer, response, () => undefined);
    });
    outgoing.on('error', () => {
      if (response.destroyed) return;
      backend.isReady = false;
      if (response.headersSent) response.destroy();
      else if (isRead) this.forward(incoming, response);
      else response.writeHead(502).end(`${backend.name} does not answer.\n`);
    });
    response.on('close', () => outgoing.destroy());
    if (isRead) outgoing.end();
    else incoming.pipe(outgoing);
  }

  private forwardUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const backend = this.next('sockets');
    socket.on('error', () => socket.destroy());
    if (!backend)
      return void socket.end('HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\r\n');
    const outgoing = requestTo(backend, incoming, { connection: 'Upgrade', upgrade: incoming.headers.upgrade });
    outgoing.on('upgrade', (answer, other, otherHead) => {
      outgoing.removeAllListeners('error').on('error', () => socket.destroy());
      this.say(`a socket goes to ${backend.name}`);
      socket.write(headOf(answer));
      socket.write(otherHead);
      other.write(head);
      pipeline(socket, other, socket, () => undefined);
    });
    // The process refuses the upgrade.
    outgoing.on('response', (answer) => {
      socket.write(headOf(answer));
      pipeline(answer, socket, () => undefined);
    });
    outgoing.on('error', () => {
      if (socket.destroyed) return;
      backend.isReady = false;
      this.forwardUpgrade(incoming, socket, head);
    });
    socket.on('close', () => outgoing.destroy());
    outgoing.end();
  }
}

async function isReadyAt(port: number): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(PATIENCE) });
    return ok;
  } catch {
    return false;
  }
}

/** Headers that a client could forge are replaced by the known facts. */
function requestTo(
  { port }: Backend,
  { method, url, headers, socket }: IncomingMessage,
  more: OutgoingHttpHeaders = {},
) {
  const forwarded = {
    'x-forwarded-for': socket.remoteAddress,
    'x-forwarded-host': headers.host ?? '',
    'x-forwarded-proto': 'http',
  };
  const sent = { ...endToEnd(headers), ...forwarded, ...more };
  return request({ host: '127.0.0.1', port, method, path: url, headers: sent, agent: false });
}

/** Removes the headers that belong to one connection only. */
function endToEnd({ connection, 'keep-alive': _, 'transfer-encoding': __, ...headers }: OutgoingHttpHeaders) {
  return headers;
}

function headOf({ statusCode, statusMessage, headers }: IncomingMessage): string {
  const lines = Object.entries(statusCode === 101 ? headers : { ...endToEnd(headers), connection: 'close' }).flatMap(
    ([name, value]) => [value ?? []].flat().map((each) => `${name}: ${each}\r\n`),
  );
  return `HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}\r\n`;
}
