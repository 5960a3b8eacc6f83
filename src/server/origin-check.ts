import { PermissionDenied } from '../errors.js';
import type { HandshakeRequest } from '../scope/scope.js';
import type { Settings } from '../settings.js';

/**
 * Browsers send cookies along with a socket that any page opens (cross-site WebSocket hijacking), and they tell which page
 * it is by the Origin header. Other clients send none, and could send any.
 *
 * @throws PermissionDenied
 */
export function checkOrigin({ headers }: HandshakeRequest, allowed: Settings['origins']): void {
  const { origin, host } = headers;
  if (allowed === 'any' || origin === undefined) return;
  if (typeof origin === 'string' && (allowed === 'same' ? isSame(origin, host) : allowed.includes(origin))) return;
  throw new PermissionDenied('This page may not connect here.');
}

function isSame(origin: string, host: string | string[] | undefined): boolean {
  if (typeof host !== 'string' || !URL.canParse(origin)) return false;
  const { protocol, host: page } = new URL(origin);
  const isWeb = protocol === 'http:' || protocol === 'https:';
  return isWeb && URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === page;
}
