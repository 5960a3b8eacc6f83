import { createServer, type Server } from 'node:http';

/** An HTTP server that tells requests what it is there for. */
export function socketsOnly(): Server {
  return createServer((_request, response) => {
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
