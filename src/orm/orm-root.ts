import { EntityManager, type EventSubscriber } from '@mikro-orm/core';

/** As much of MikroORM as the framework needs: any driver's `MikroORM` object is one. */
export interface OrmRoot {
  readonly em: EntityManager;
}

/** What `EntityManager` is injected by, whichever driver it comes from. */
export const entityManagerToken = EntityManager;

export function registerSubscriber({ em }: OrmRoot, subscriber: EventSubscriber): void {
  em.getEventManager().registerSubscriber(subscriber);
}
