import { type EntityManager, RequestContext } from '@mikro-orm/core';

/**
 * The framework's way into MikroORM. Every action, permission, observer and hook runs in a request context of its own, so
 * that the one EntityManager that is injected everywhere means this context's fork, and never another request's.
 */
export class UnitOfWork {
  constructor(readonly em: EntityManager) {}

  /** Runs in a request context of its own. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return RequestContext.create(this.em, work);
  }

  /**
   * Runs in a request context and a transaction of its own; commits when the work resolves.
   *
   * @param signal ends the wait for the query under way and refuses all further ones. Without it, work that goes on after it
   * was abandoned could send a query behind the rollback, where no transaction holds it any more.
   */
  runAtomic<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.run(() => this.em.transactional(work, { signal }));
  }

  /** Loads relations of entities that do not have them yet; paths as MikroORM's `populate` takes them. */
  async load(entities: readonly object[], paths: readonly string[]): Promise<void> {
    if (entities.length > 0 && paths.length > 0) await this.em.populate([...entities], paths as never);
  }

  /** Writes what is pending, inside the transaction if there is one. */
  flush(): Promise<void> {
    return this.em.flush();
  }
}
