import type { OrmRoot } from './orm-root.js';

// Facts of a database that are read without MikroORM: the command line looks at applications before it knows whether MikroORM is installed.

/**
 * The database's name in the log: `pglite ./data`, `postgresql localhost:5432/chat`. It never shows user or password, whether they are
 * settings of their own or part of the URL.
 */
export function describeDatabase({ em }: OrmRoot): string {
  const { config } = em;
  const driver = driverOf(em);
  const name = config.get('dbName') ?? '';
  const options: { readonly dataDir?: unknown } = Object(config.get('driverOptions'));
  if (driver === 'pglite') return `${driver} ${options.dataDir === undefined ? name : `${options.dataDir} ${name}`}`;
  const url = config.get('clientUrl') ?? '';
  const { hostname = '', port = '' } = URL.canParse(url) ? new URL(url) : {};
  const at = config.get('port') ?? port;
  return `${driver} ${config.get('host') ?? decodeURIComponent(hostname)}${at && `:${at}`}/${name}`;
}

function driverOf(em: OrmRoot['em']): string {
  const { name } = em.getDriver().constructor;
  return name.replace(/Driver$/, '').toLowerCase();
}

/** Whether the ORM has entities. An application without entities does not use its database, which may be absent. */
export function usesDatabase({ em }: OrmRoot): boolean {
  return em.getMetadata().getAll().size > 0;
}

/** Whether the database runs inside this process (PGlite). Then it has one connection, and no other process can use it. */
export function isEmbedded({ em }: OrmRoot): boolean {
  return driverOf(em) === 'pglite';
}
