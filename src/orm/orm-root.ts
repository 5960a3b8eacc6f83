import { EntityManager, type EventSubscriber } from '@mikro-orm/core';
import { findPackage, ownFolder, secondCopy } from '../copies.js';
import type { Class } from '../metadata.js';

/** The part of MikroORM that the framework needs: any driver's `MikroORM` object fits. */
export interface OrmRoot {
  readonly em: EntityManager;
}

/** Whether a value is a MikroORM object. It is checked by its members, because another copy of the ORM's package has other classes. */
export function isOrmRoot(value: unknown): value is OrmRoot {
  const { em } = (value ?? {}) as { readonly em?: Partial<EntityManager> | null };
  return typeof em?.getMetadata === 'function' && typeof em.getEventManager === 'function';
}

/**
 * @param member the option that the ORM was passed to
 * @throws ConfigurationError for an object of another copy of MikroORM, whose entity managers and errors this copy does not know
 */
export function checkOrmIsOurs(member: string, { em }: OrmRoot): void {
  if (em instanceof EntityManager) return;
  const name = '@mikro-orm/core';
  const own = findPackage(name, ownFolder)?.folder ?? name;
  const [program = ''] = process.argv.slice(1);
  const others = [program, process.cwd()].flatMap((folder) => findPackage(name, folder)?.folder ?? []);
  const other = others.find((folder) => folder !== own);
  throw secondCopy(`createApp.${member}`, name, `comes from another copy${other ? `, in ${other}` : ''}`, own);
}

/**
 * The tokens by which the entity manager is injected: the core's `EntityManager`, and the driver's own classes, one of which its package
 * exports under that name too.
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
