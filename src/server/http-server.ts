import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/**
 * An HTTP server that tells requests what it is there for.
 *
 * @param answers those that it is there for; returns whether the request was one
 */
export function socketsOnly(answers: (request: IncomingMessage, response: ServerResponse) => boolean): Server {
  return createServer((request, response) => {
    if (answers(request, response)) return;
    response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'upgrade' });
    response.end('This server speaks WebSocket.\n');
  });
}

/** Resolves once the server listens. @throws Error where it cannot, such as EADDRINUSE */
export function listening(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, host, () => {
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
