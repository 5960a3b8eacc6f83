import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import type { App } from 'signalbox';
import { livePages } from './live-pages.js';

const packageFolder = resolve(import.meta.dirname, '../../..');

/** All served files: the path, the file and its type. */
const files: ReadonlyMap<string, readonly [file: string, type: string]> = new Map([
  ['/', ['page/index.html', 'text/html; charset=utf-8']],
  ['/page/style.css', ['page/style.css', 'text/css; charset=utf-8']],
  ['/page/main.js', ['dist/page/main.js', 'text/javascript; charset=utf-8']],
  ['/page/main.js.map', ['dist/page/main.js.map', 'application/json']],
]);

/**
 * Serves the page, `/livez` and `/readyz` for the operator of this process and, in development, the explorer. The sockets are
 * attached to the same server.
 */
export function createHttpServer(app: Pick<App, 'answer'>): Server {
  return createServer((request, response) => {
    if (app.answer(request, response) || livePages.answer(request, response)) return;
    const [path = '/'] = (request.url ?? '/').split('?');
    sendFile(path, response).catch(() => response.writeHead(500).end());
  });
}

async function sendFile(path: string, response: ServerResponse): Promise<void> {
  const [file, type] = files.get(path) ?? [];
  if (!file || !type) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found.');
    return;
  }
  const body = await readFile(resolve(packageFolder, file));
  response.writeHead(200, {
    'content-type': type,
    'cache-control': 'no-cache',
    'content-security-policy': "default-src 'self'; img-src 'self' data:",
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}
