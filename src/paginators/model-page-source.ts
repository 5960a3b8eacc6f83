import type { EntityMetadata } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import { isToMany, type ModelOrder, pathOf } from '../orm/model-paths.js';
import { asStored, ormOrder } from '../orm/model-queries.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { type RowPlan, type Shown, ShownRow } from '../serializers/model-plan.js';
import type { SerializerContext } from '../serializers/serializer.js';
import { Keyset } from './model-keyset.js';
import type { PageSource } from './paginator.js';

/** How rows are shown without entities. */
export interface PlannedRows {
  readonly plan: RowPlan;
  readonly context: SerializerContext;
}

export interface ModelRows {
  readonly unitOfWork: UnitOfWork;
  readonly model: ConcreteClass<object>;
  readonly where: object;
  readonly order: ModelOrder;
}

/** The rows of a model that answer a query. */
export class ModelPageSource implements PageSource<object> {
  readonly #rows: ModelRows;
  readonly #order: ModelOrder;
  readonly #planned: PlannedRows | undefined;

  /** @param planned how rows are shown without entities; they are entities where there is none */
  constructor(rows: ModelRows, planned?: PlannedRows) {
    this.#rows = rows;
    this.#order = withKey(metaOf(rows), rows.order);
    this.#planned = planned;
  }

  /** The same rows without entities, where the plan reads all columns of their order: a cursor says where a row stands. */
  plannedBy(planned: PlannedRows): ModelPageSource {
    const knowsOrder = Object.keys(this.#order).every((name) => planned.plan.columns.has(name));
    return knowsOrder ? new ModelPageSource(this.#rows, planned) : this;
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

  /** The rows behind it in the order that is turned around. */
  async before(position: string | undefined, limit: number): Promise<object[]> {
    const condition = position === undefined ? undefined : this.#keyset.ahead(position);
    const found = await this.#find({ limit }, condition, reversed(this.#order));
    return found.reverse();
  }

  positionOf(row: object): string {
    const { row: values } = row instanceof ShownRow ? row : {};
    const { plan } = this.#planned ?? {};
    if (!plan || !values) return this.#keyset.positionOf(row);
    return this.#keyset.positionAt(Object.keys(this.#order).map((name) => plan.columns.get(name)?.(values)));
  }

  #relationsOfOrder(): readonly string[] {
    const paths = Object.keys(this.#order).map((name) => pathOf(metaOf(this.#rows), name)?.steps ?? []);
    return paths
      .filter((steps) => steps.length > 0 && !steps.some(isToMany))
      .map((steps) => steps.map(({ name }) => name).join('.'));
  }

  get #keyset(): Keyset {
    return new Keyset(metaOf(this.#rows), this.#order);
  }

  async #find(
    part: { readonly offset?: number; readonly limit?: number },
    condition?: object,
    order = this.#order,
  ): Promise<object[]> {
    const { unitOfWork, model, where } = this.#rows;
    const narrowed = condition ? { $and: [where, condition] } : where;
    if (this.#planned) {
      const { plan, context } = this.#planned;
      const rows = await unitOfWork.queries.rows(unitOfWork.reader, plan.selection, {
        ...part,
        where: narrowed,
        order,
      });
      const shown = rows.map((row) => plan.show(row, context));
      const data = shown.some((each) => each instanceof Promise) ? await Promise.all(shown) : (shown as Shown[]);
      return rows.map((row, index) => new ShownRow(data[index] ?? {}, row));
    }
    // A cursor has the values of the columns that the list is ordered by, also of other rows.
    const populate = this.#relationsOfOrder() as never;
    return unitOfWork.em.find(model, narrowed as never, {
      ...part,
      ...asStored,
      orderBy: (await ormOrder(unitOfWork.reader, metaOf(this.#rows), order)) as never,
      populate,
    });
  }
}

/** No two rows stand at the same place, so that pages neither share rows nor miss any. */
function withKey(meta: EntityMetadata, order: ModelOrder): ModelOrder {
  const keys = meta.primaryKeys.filter((name) => !Object.hasOwn(order, name));
  return { ...order, ...Object.fromEntries(keys.map((name) => [name, 'asc' as const])) };
}

/** Nulls change their end too: PostgreSQL puts them last, and first where the order is descending. */
function reversed(order: ModelOrder): ModelOrder {
  return Object.fromEntries(
    Object.entries(order).map(([name, direction]) => [name, direction === 'asc' ? 'desc' : 'asc']),
  );
}

function metaOf({ unitOfWork, model }: ModelRows): EntityMetadata {
  return unitOfWork.em.getMetadata(model);
}
