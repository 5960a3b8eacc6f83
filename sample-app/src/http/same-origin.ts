import type { FastifyRequest } from 'fastify';
import { type App, PermissionDenied } from 'signalbox';

export class ForeignOrigin extends PermissionDenied {
  static override readonly code = 'foreign_origin';
  static override readonly detail = 'This request came from another site.';
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Browsers send the origin of a request. A client without one is not a browser, so it has no user's cookies. */
export function refuseForeignOrigin({ method, headers, raw }: FastifyRequest, app: Pick<App, 'clientOf'>): void {
  if (safeMethods.has(method)) return;
  const site = headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return;
  if (site === undefined && isOwn(headers.origin, app.clientOf(raw).host)) return;
  throw new ForeignOrigin();
}

function isOwn(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
