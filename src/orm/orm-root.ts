import { EntityManager, type EventSubscriber } from '@mikro-orm/core';

/** As much of MikroORM as the framework needs: any driver's `MikroORM` object is one. */
export interface OrmRoot {
  readonly em: EntityManager;
}

/** Told by what it can do: another copy of the ORM's package has other classes. */
export function isOrmRoot(value: unknown): value is OrmRoot {
  const { em } = (value ?? {}) as { readonly em?: Partial<EntityManager> | null };
  return typeof em?.getMetadata === 'function' && typeof em.getEventManager === 'function';
}

/** What `EntityManager` is injected by, whichever driver it comes from. */
export const entityManagerToken = EntityManager;

export function registerSubscriber({ em }: OrmRoot, subscriber: EventSubscriber): void {
  em.getEventManager().registerSubscriber(subscriber);
}
