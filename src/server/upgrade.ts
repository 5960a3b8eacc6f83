import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiError } from '../errors.js';
import type { HandshakeRequest } from '../scope/scope.js';

export function toHandshakeRequest({ url = '/', headers, socket }: IncomingMessage): HandshakeRequest {
  const { remoteAddress } = socket;
  return { url, headers, encrypted: 'encrypted' in socket, ...(remoteAddress !== undefined && { remoteAddress }) };
}

/** Knows nothing of the request, which would live as long as its socket. */
export function destroyOnError(socket: Duplex): void {
  socket.on('error', destroy);
}

function destroy(this: Duplex): void {
  this.destroy();
}

/**
 * Answers an upgrade request with a status and a sentence, before any frame, and hangs up: HTTP servers keep sockets half
 * open for clients that do not. Does nothing where the request is answered already or the client is gone.
 */
export function refuseUpgrade(
  socket: Duplex,
  { status, message, retryAfter }: ApiError,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) return;
  socket.once('finish', () => socket.destroy());
  const body = `${message}\n`;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
      'Connection: close',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(retryAfter === undefined ? [] : [`Retry-After: ${Math.ceil(retryAfter / 1000)}`]),
      '',
      body,
    ].join('\r\n'),
  );
}
