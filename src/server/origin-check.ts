import { PermissionDenied } from '../errors.js';
import { originOf } from '../scope/origin.js';
import type { HandshakeRequest } from '../scope/scope.js';
import type { Settings } from '../settings.js';

/**
 * Browsers send cookies along with a socket that any page opens (cross-site WebSocket hijacking), and they tell which page
 * it is by the Origin header. Other clients send none, and could send any: what a cookie proves is not enough then, and its
 * middleware says so.
 *
 * @throws PermissionDenied
 */
export function checkOrigin({ headers, encrypted = false }: HandshakeRequest, allowed: Settings['origins']): void {
  if (allowed === 'any' || headers.origin === undefined) return;
  const origin = originOf(headers.origin);
  if (origin !== undefined && (allowed === 'same' ? isSame(origin, headers.host, encrypted) : allowed.includes(origin)))
    return;
  throw new PermissionDenied('This page may not connect here.');
}

/** Behind a proxy nobody knows which scheme the client speaks; where it is known to be TLS, a page without it is another origin. */
function isSame(origin: string, host: string | string[] | undefined, isEncrypted: boolean): boolean {
  const { protocol, host: page } = new URL(origin);
  if (isEncrypted && protocol !== 'https:') return false;
  const here = `${protocol}//${host}`;
  return typeof host === 'string' && URL.canParse(here) && new URL(here).host === page;
}
