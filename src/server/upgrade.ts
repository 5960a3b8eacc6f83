import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { HandshakeRequest } from '../scope/scope.js';

export function toHandshakeRequest({ url = '/', headers, socket }: IncomingMessage): HandshakeRequest {
  const { remoteAddress } = socket;
  return { url, headers, encrypted: 'encrypted' in socket, ...(remoteAddress !== undefined && { remoteAddress }) };
}

/** Answers an upgrade request with a status and a sentence, before any frame. */
export function refuseUpgrade(socket: Duplex, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}
