import { hasRules } from '../kwargs/class-rules.js';
import { isStandardSchema, type KwargsSchema } from '../kwargs/kwargs-schema.js';
import type { ParameterSource } from '../scope/route-parameters.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { Settings } from '../settings.js';
import type { FlatRoute } from './flat-routes.js';
import { fault } from './route-pattern.js';

const known = ['middleware', 'params', 'query', 'headers'];

/** @throws ConfigurationError for options that could not work, or would let through what they seem to keep out */
export function checkRoute(route: FlatRoute, settings: Settings): void {
  const { path: at, options, middleware } = route;
  const strange = Object.keys(options).find((name) => !known.includes(name));
  if (strange) throw fault(at, `has the option "${strange}", which there is not.`, `There are: ${known.join(', ')}.`);
  for (const source of ['params', 'query', 'headers'] as const) checkSchema(at, source, options[source]);
  for (const piece of middleware) checkPiece(at, piece);
  const twice = middleware.find((piece, index) => middleware.indexOf(piece) !== index);
  if (twice) throw fault(at, `runs ${twice.name} twice.`, 'Leave it to the application or to the route.');
  checkCookie(route, settings);
}

function checkSchema(at: string, source: ParameterSource, schema: unknown): void {
  if (schema === undefined) return;
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  if (isObject && isStandardSchema(schema as KwargsSchema)) return;
  if (typeof schema !== 'function')
    throw fault(at, `declares ${source} that are no class and no Standard Schema.`, 'Give one of them.');
  if (hasRules(schema as never)) return;
  throw fault(
    at,
    `declares ${schema.name} as its ${source}, which has no rule, so that nothing a client sends would reach it.`,
    "Put class-validator's decorators on its properties.",
  );
}

function checkPiece(at: string, piece: unknown): void {
  if (typeof piece === 'function') {
    if (!isMaker(piece)) return;
    const reason = `has ${piece.name} among its middleware, which is a function that makes one, and was not called.`;
    throw fault(at, reason, `Call it: ${piece.name}(…).`);
  }
  throw fault(at, `has ${String(piece)} among its middleware, which is no class.`, 'Look for a circular import.');
}

/** A class may have `apply` as a field, which only an instance shows. */
function isMaker(piece: NonNullable<unknown> & { readonly prototype?: object }): boolean {
  if (typeof piece.prototype === 'object' && 'apply' in piece.prototype) return false;
  return !Function.prototype.toString.call(piece).startsWith('class');
}

function checkCookie({ path: at, middleware }: FlatRoute, { origins }: Settings): void {
  const byCookie = middleware.find(({ cookie }: ScopeMiddlewareClass) => cookie !== undefined);
  if (!byCookie || origins !== 'any') return;
  throw fault(
    at,
    `logs users in by the cookie "${byCookie.cookie}", and the setting origins is "any": every page could act for them.`,
    'List the origins that may connect.',
  );
}
