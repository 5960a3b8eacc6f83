import { inspect } from 'node:util';
import { cookiesOf, offeredSubprotocols } from '../scope/headers.js';
import { type HandshakeRequest, pathAndQuery } from '../scope/scope.js';

/** Shorter values of cookies and queries are words: taking them out would only spoil the log. */
const shortestSecret = 16;

/** What an upgrade request has that may prove something, and that no log may show. */
export function secretsOf({ url, headers }: HandshakeRequest): readonly string[] {
  const query = new URLSearchParams(pathAndQuery(url)[1]);
  const [, credential = ''] = /^\S+\s+(\S.*)$/.exec(String(headers['authorization'] ?? '')) ?? [];
  const { tokens } = offeredSubprotocols(headers['sec-websocket-protocol']);
  const perhaps = [...query.values(), ...Object.values(cookiesOf(headers['cookie']))];
  return [credential, ...tokens, ...perhaps.filter(({ length }) => length >= shortestSecret)].filter(
    (text) => text !== '',
  );
}

/** The error, or a copy of it without the secrets: databases put the values of a query in their messages. */
export function withoutSecrets(thrown: unknown, secrets: readonly string[]): unknown {
  const shown = inspect(thrown, { depth: 8 });
  if (!secrets.some((secret) => shown.includes(secret))) return thrown;
  const clean = (text: string): string => secrets.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
  const told = thrown instanceof Error ? thrown : new Error(shown);
  const error = new Error(clean(told.message));
  error.name = told.name;
  error.stack = clean(told.stack ?? '');
  return error;
}
