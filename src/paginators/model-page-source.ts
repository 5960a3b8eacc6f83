import type { EntityMetadata } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { type RowPlan, ShownRow } from '../serializers/model-plan.js';
import { Keyset, type Order } from './model-keyset.js';
import type { PageSource } from './paginator.js';

export interface ModelRows {
  readonly unitOfWork: UnitOfWork;
  readonly model: ConcreteClass<object>;
  readonly where: object;
  readonly order: Order;
}

/** The rows of a model that answer a query. */
export class ModelPageSource implements PageSource<object> {
  readonly #rows: ModelRows;
  readonly #order: Order;
  readonly #plan: RowPlan | undefined;

  /** @param plan how rows are shown without entities; they are entities where there is none */
  constructor(rows: ModelRows, plan?: RowPlan) {
    this.#rows = rows;
    this.#order = withKey(metaOf(rows), rows.order);
    this.#plan = plan;
  }

  /** The same rows without entities, where the plan reads all columns of their order: a cursor says where a row stands. */
  plannedBy(plan: RowPlan): ModelPageSource {
    const knowsOrder = Object.keys(this.#order).every((name) => plan.columns.has(name));
    return knowsOrder ? new ModelPageSource(this.#rows, plan) : this;
  }

  all(): Promise<object[]> {
    return this.#find({});
  }

  count(): Promise<number> {
    const { unitOfWork, where } = this.#rows;
    return unitOfWork.queries.count(unitOfWork.reader, metaOf(this.#rows), where);
  }

  slice(offset: number, limit: number): Promise<object[]> {
    return this.#find({ offset, limit });
  }

  after(position: string | undefined, limit: number): Promise<object[]> {
    return this.#find({ limit }, position === undefined ? undefined : this.#keyset.behind(position));
  }

  positionOf(row: object): string {
    const { row: values } = row instanceof ShownRow ? row : {};
    const plan = this.#plan;
    if (!plan || !values) return this.#keyset.positionOf(row);
    return this.#keyset.positionAt(Object.keys(this.#order).map((name) => plan.columns.get(name)?.(values)));
  }

  get #keyset(): Keyset {
    return new Keyset(metaOf(this.#rows), this.#order);
  }

  async #find(part: { readonly offset?: number; readonly limit?: number }, condition?: object): Promise<object[]> {
    const { unitOfWork, model, where } = this.#rows;
    const narrowed = condition ? { $and: [where, condition] } : where;
    const plan = this.#plan;
    if (plan) {
      const rows = await unitOfWork.queries.rows(unitOfWork.reader, plan.selection, {
        ...part,
        where: narrowed,
        order: this.#order,
      });
      return rows.map((row) => new ShownRow(plan.show(row), row));
    }
    return unitOfWork.em.find(model, narrowed as never, { ...part, orderBy: this.#order as never });
  }
}

/** No two rows stand at the same place, so that pages neither share rows nor miss any. */
function withKey(meta: EntityMetadata, order: Order): Order {
  const keys = meta.primaryKeys.filter((name) => !Object.hasOwn(order, name));
  return { ...order, ...Object.fromEntries(keys.map((name) => [name, 'asc' as const])) };
}

function metaOf({ unitOfWork, model }: ModelRows): EntityMetadata {
  return unitOfWork.em.getMetadata(model);
}
