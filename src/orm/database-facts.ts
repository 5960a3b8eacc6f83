import type { OrmRoot } from './orm-root.js';

// What a database is, told without MikroORM: the command line looks at applications before it knows whether that is installed.

/**
 * Which database it is, for the log: `pglite ./data`, `postgresql localhost:5432/chat`. Neither user nor password, whether they stand in
 * settings of their own or in the URL.
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

/** An application without entities has no use for its database, which need not be there. */
export function usesDatabase({ em }: OrmRoot): boolean {
  return em.getMetadata().getAll().size > 0;
}

/** Whether the database runs in this process, which is the only one that it has, and its only connection. */
export function isEmbedded({ em }: OrmRoot): boolean {
  return driverOf(em) === 'pglite';
}
