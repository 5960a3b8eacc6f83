import { EntityManager, type EventSubscriber } from '@mikro-orm/core';
import type { Class } from '../metadata.js';

/** As much of MikroORM as the framework needs: any driver's `MikroORM` object is one. */
export interface OrmRoot {
  readonly em: EntityManager;
}

/** Told by what it can do: another copy of the ORM's package has other classes. */
export function isOrmRoot(value: unknown): value is OrmRoot {
  const { em } = (value ?? {}) as { readonly em?: Partial<EntityManager> | null };
  return typeof em?.getMetadata === 'function' && typeof em.getEventManager === 'function';
}

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

function driverOf(em: EntityManager): string {
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

/**
 * What the entity manager is injected by: the core's `EntityManager`, whichever driver it comes from, and the driver's own classes
 * in between, one of which its package exports under the same name.
 */
export function entityManagerTokens({ em }: OrmRoot): readonly Class<EntityManager>[] {
  const tokens = new Set<Class<EntityManager>>([EntityManager]);
  for (let own = em.constructor; own.prototype instanceof EntityManager; own = Object.getPrototypeOf(own))
    tokens.add(own as unknown as Class<EntityManager>);
  return [...tokens];
}

export function registerSubscriber({ em }: OrmRoot, subscriber: EventSubscriber): void {
  em.getEventManager().registerSubscriber(subscriber);
}
