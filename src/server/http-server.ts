import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Limits } from '../limits.js';

/**
 * An HTTP server that tells requests what it is there for, and waits for none for long: 408.
 *
 * @param answers those that it is there for; returns whether the request was one
 */
export function socketsOnly(
  { headersTime, requestTime, requestCheckInterval }: Limits,
  answers: (request: IncomingMessage, response: ServerResponse) => boolean,
): Server {
  const options = {
    headersTimeout: headersTime,
    // Node has it that headers take no longer than the whole.
    requestTimeout: Math.max(requestTime, headersTime),
    connectionsCheckingInterval: requestCheckInterval,
  };
  return createServer(options, (request, response) => {
    if (answers(request, response)) return;
    response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'upgrade' });
    response.end('This server speaks WebSocket.\n');
  });
}

/**
 * So many sockets may wait to be accepted, if the system allows it. When a server is gone, all its clients come at once; beyond
 * this number the system drops them, and they try again seconds later.
 */
const backlog = 4_096;

/** Resolves once the server listens. @throws Error where it cannot, such as EADDRINUSE */
export function listening(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, host, backlog, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Hangs up on whoever speaks plain HTTP. Resolves when the upgraded sockets are gone too. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
