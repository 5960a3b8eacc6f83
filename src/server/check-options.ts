import { ConfigurationError } from '../errors.js';
import { isOrmRoot } from '../orm/orm-root.js';
import type { AppOptions } from './app-options.js';
import type { Route } from './route.js';

const known: Readonly<Record<keyof AppOptions<readonly Route[]>, true>> = {
  orm: true,
  otherOrms: true,
  routes: true,
  container: true,
  middleware: true,
  permissions: true,
  errors: true,
  hooks: true,
  channelLayer: true,
  connections: true,
  users: true,
  ticketStore: true,
  settings: true,
};

/**
 * What a compiler would have refused, had there been one.
 *
 * @throws ConfigurationError where a database or the routes are missing, or are something else, and for names that nobody knows
 */
export function checkOptions(options: unknown): void {
  const { orm, otherOrms = [], routes } = (options ?? {}) as Readonly<Record<string, unknown>>;
  checkOrm('orm', orm);
  const unknown = Object.keys(options as object).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) throw fault(unknown, 'is no option.', `There are: ${Object.keys(known).join(', ')}.`);
  if (!Array.isArray(otherOrms)) throw fault('otherOrms', 'is no list.', 'Give a list of MikroORM objects.');
  for (const [index, other] of otherOrms.entries()) checkOrm(`otherOrms[${index}]`, other);
  if (!Array.isArray(routes)) {
    const reason = routes === undefined ? 'are missing.' : 'are no list.';
    throw fault('routes', reason, "Give at least one: routes: [path('/ws/', YourConsumer)].");
  }
}

function checkOrm(member: string, orm: unknown): void {
  if (isOrmRoot(orm)) return;
  const remedy = 'Give what MikroORM.init resolves with: createApp({ orm: await MikroORM.init({ … }), … }).';
  throw fault(member, reasonOf(orm), remedy);
}

function reasonOf(orm: unknown): string {
  if (orm === undefined || orm === null) return 'is missing.';
  return orm instanceof Promise ? 'is a promise.' : 'is no MikroORM object.';
}

function fault(member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'createApp', member, reason, remedy });
}
