import type { EntityMetadata } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { isToMany, type ModelOrder, pathOf } from '../orm/model-paths.js';
import { asStored, type ModelQuery, ormOrder } from '../orm/model-queries.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { type PlannedRows, ShownRow, showPlanned } from '../serializers/model-plan.js';
import { Keyset } from './model-keyset.js';
import type { PageSource } from './paginator.js';

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

  /** The same rows without entities. */
  plannedBy(planned: PlannedRows): ModelPageSource {
    return new ModelPageSource(this.#rows, planned);
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
    return this.#findPlaced(limit, position === undefined ? undefined : this.#keyset.behind(position), this.#order);
  }

  /** The rows behind it in the order that is turned around. */
  async before(position: string | undefined, limit: number): Promise<object[]> {
    const condition = position === undefined ? undefined : this.#keyset.ahead(position);
    const found = await this.#findPlaced(limit, condition, reversed(this.#order));
    return found.reverse();
  }

  positionOf(row: object): string {
    if (!(row instanceof ShownRow)) return this.#keyset.positionOf(row);
    const { plan } = this.#planned ?? {};
    if (!plan || !this.#knowsOrder) throw withoutPlace(metaOf(this.#rows));
    return this.#keyset.positionAt(Object.keys(this.#order).map((name) => plan.columns.get(name)?.(row.row)));
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

  /** Whether the plan reads all columns of the order. */
  get #knowsOrder(): boolean {
    return Object.keys(this.#order).every((name) => this.#planned?.plan.columns.has(name));
  }

  /** Rows whose position may be asked for. */
  #findPlaced(limit: number, condition: object | undefined, order: ModelOrder): Promise<object[]> {
    const where = condition ? { $and: [this.#rows.where, condition] } : this.#rows.where;
    return this.#planned && this.#knowsOrder
      ? this.#show(this.#planned, { where, order, limit })
      : this.#load({ limit }, where, order, this.#relationsOfOrder());
  }

  #find(part: Part): Promise<object[]> {
    const { where } = this.#rows;
    return this.#planned
      ? this.#show(this.#planned, { ...part, where, order: this.#order })
      : this.#load(part, where, this.#order);
  }

  async #show(planned: PlannedRows, query: ModelQuery): Promise<object[]> {
    const { unitOfWork } = this.#rows;
    return showPlanned(planned, await unitOfWork.queries.rows(unitOfWork.reader, planned.plan.selection, query));
  }

  async #load(part: Part, where: object, order: ModelOrder, populate: readonly string[] = []): Promise<object[]> {
    const { unitOfWork, model } = this.#rows;
    const orderBy = await ormOrder(unitOfWork.reader, metaOf(this.#rows), order);
    const options = { ...part, ...asStored, orderBy: orderBy as never, populate: populate as never };
    return unitOfWork.em.find(model, where as never, options);
  }
}

interface Part {
  readonly offset?: number;
  readonly limit?: number;
}

function withoutPlace({ className }: EntityMetadata): ConfigurationError {
  return new ConfigurationError({
    class: className,
    reason: 'is shown without entities, and a paginator asks for the position of a row that slice gave.',
    remedy: 'Let the paginator read rows whose positions it needs with after or before.',
  });
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
