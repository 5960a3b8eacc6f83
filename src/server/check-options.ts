import { ConfigurationError } from '../errors.js';
import { isOrmRoot } from '../orm/orm-root.js';

/**
 * What a compiler would have refused, had there been one.
 *
 * @throws ConfigurationError where a database or the routes are missing, or are something else
 */
export function checkOptions(options: unknown): void {
  const { orm, otherOrms = [], routes } = (options ?? {}) as Readonly<Record<string, unknown>>;
  checkOrm('orm', orm);
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
