import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import { Keyset, type Order } from './model-keyset.js';
import type { PageSource } from './paginator.js';

export interface ModelRows {
  readonly em: EntityManager;
  readonly model: ConcreteClass<object>;
  readonly where: object;
  readonly order: Order;
}

/** The rows of a model that answer a query. */
export class ModelPageSource implements PageSource<object> {
  readonly #rows: ModelRows;
  readonly #order: Order;

  constructor(rows: ModelRows) {
    this.#rows = rows;
    this.#order = withKey(rows.em.getMetadata(rows.model) as EntityMetadata, rows.order);
  }

  all(): Promise<object[]> {
    return this.#find({});
  }

  count(): Promise<number> {
    const { em, model, where } = this.#rows;
    return em.count(model, where as never);
  }

  slice(offset: number, limit: number): Promise<object[]> {
    return this.#find({ offset, limit });
  }

  after(position: string | undefined, limit: number): Promise<object[]> {
    return this.#find({ limit }, position === undefined ? undefined : this.#keyset.behind(position));
  }

  positionOf(row: object): string {
    return this.#keyset.positionOf(row);
  }

  get #keyset(): Keyset {
    const { em, model } = this.#rows;
    return new Keyset(em.getMetadata(model) as EntityMetadata, this.#order);
  }

  #find(part: { readonly offset?: number; readonly limit?: number }, condition?: object): Promise<object[]> {
    const { em, model, where } = this.#rows;
    const narrowed = condition ? { $and: [where, condition] } : where;
    return em.find(model, narrowed as never, { ...part, orderBy: this.#order as never });
  }
}

/** No two rows stand at the same place, so that pages neither share rows nor miss any. */
function withKey(meta: EntityMetadata, order: Order): Order {
  const keys = meta.primaryKeys.filter((name) => !Object.hasOwn(order, name));
  return { ...order, ...Object.fromEntries(keys.map((name) => [name, 'asc' as const])) };
}
