import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { fault } from './route-pattern.js';
import { NestedRouter, type Route, type Routed, type RouteOptions } from './routes.js';

/** A route with all that stands around it. */
export interface FlatRoute {
  readonly path: string;
  readonly to: Routed;
  readonly options: RouteOptions;
  readonly middleware: readonly ScopeMiddlewareClass[];
}

interface Around {
  readonly prefix: string;
  readonly middleware: readonly ScopeMiddlewareClass[];
}

/** Routes of routers -> routes with whole paths, in their order. @throws ConfigurationError */
export function flatRoutes(routes: readonly Route[], around: Around): readonly FlatRoute[] {
  return routes.flatMap((route) => flatRoute(route, around));
}

function flatRoute({ path, to, options }: Route, { prefix, middleware }: Around): readonly FlatRoute[] {
  const whole = `${prefix}${path}`;
  if (prefix !== '' && path.startsWith('/'))
    throw fault(whole, 'begins with a slash below another path.', `Write ${path.slice(1)}.`);
  const inner = [...middleware, ...(options.middleware ?? [])];
  if (!(to instanceof NestedRouter)) return [{ path: whole, to, options, middleware: inner }];
  if (!whole.endsWith('/')) throw fault(whole, 'has routes below it and no slash at its end.', `Write ${path}/.`);
  const schema = (['params', 'query', 'headers'] as const).find((source) => options[source]);
  if (schema) throw fault(whole, `declares ${schema} and leads to a router.`, 'Declare them at the routes in it.');
  if (to.routes.length === 0) throw fault(whole, 'leads to a router without routes.', 'Give it one, or drop it.');
  return flatRoutes(to.routes, { prefix: whole, middleware: [...inner, ...(to.options.middleware ?? [])] });
}
