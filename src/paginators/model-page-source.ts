import type { EntityMetadata } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { isToMany, type ModelOrder, pathOf } from '../orm/model-paths.js';
import { asStored, firstValue, type ModelQuery, ormOrder, turned, type ValueSql } from '../orm/model-queries.js';
import { keyColumns, primaryKeyOf, quoter } from '../orm/row.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { writtenKey } from '../orm/write-statements.js';
import { ofKey } from '../serializers/model-key.js';
import { type PlannedRows, ShownRow, showPlanned } from '../serializers/model-plan.js';
import { Keyset, leadsToMany } from './model-keyset.js';
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
  /** Values of the order that come from many other rows, for each row that was found, by their paths. */
  readonly #texts = new WeakMap<object, ReadonlyMap<string, string | null>>();

  /** @param planned how rows are shown without entities; without it, the rows are entities */
  constructor(rows: ModelRows, planned?: PlannedRows) {
    this.#rows = rows;
    this.#order = withKey(metaOf(rows), rows.order);
    this.#planned = planned;
  }

  /** This source, with rows that are not entities. */
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

  async after(position: string | undefined, limit: number): Promise<object[]> {
    const condition = position === undefined ? undefined : (await this.#placing()).behind(position);
    return this.#findPlaced(limit, condition, this.#order);
  }

  /** The rows before a position: those after it in the reversed order. */
  async before(position: string | undefined, limit: number): Promise<object[]> {
    const condition = position === undefined ? undefined : (await this.#placing()).ahead(position);
    const found = await this.#findPlaced(limit, condition, reversed(this.#order), true);
    return found.reverse();
  }

  positionOf(row: object): string {
    if (!(row instanceof ShownRow)) return this.#keyset.positionOf(row, this.#texts.get(row));
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

  /** SQL of the values of the order that come from many other rows. */
  async #firsts(): Promise<ReadonlyMap<string, ValueSql>> {
    const { reader } = this.#rows.unitOfWork;
    const meta = metaOf(this.#rows);
    const firsts = new Map<string, ValueSql>();
    for (const [name, direction] of Object.entries(this.#order)) {
      const path = pathOf(meta, name);
      if (path && leadsToMany(path)) firsts.set(name, await firstValue(reader, meta, path, direction));
    }
    return firsts;
  }

  async #placing(): Promise<Keyset> {
    return new Keyset(metaOf(this.#rows), this.#order, await this.#firsts());
  }

  /** Reads the values of the order that the rows do not show. */
  async #readPlaces(rows: readonly object[]): Promise<void> {
    const firsts = await this.#firsts();
    if (firsts.size === 0 || rows.length === 0) return;
    const { queries, reader } = this.#rows.unitOfWork;
    const meta = metaOf(this.#rows);
    const platform = reader.em.getDriver().getPlatform();
    const quote = quoter(reader.em);
    const keys = keyColumns(meta).map((name) => `t.${quote(name)}::text`);
    const selection = {
      id: `places ${meta.className}`,
      meta,
      columns: [...keys, ...[...firsts.values()].map((sql) => `${sql('t')}::text`)],
      keyLength: keys.length,
    };
    const keyOf = (row: object): object => ofKey(meta, primaryKeyOf(row));
    const found = await queries.rows(reader, selection, { where: { $or: rows.map(keyOf) } });
    const byKey = new Map(found.map((row) => [JSON.stringify(row.slice(0, keys.length)), row.slice(keys.length)]));
    for (const row of rows) {
      const texts = byKey.get(JSON.stringify(writtenKey(meta, keyOf(row), platform).map(String))) ?? [];
      this.#texts.set(
        row,
        new Map([...firsts.keys()].map((name, index) => [name, (texts[index] ?? null) as string | null])),
      );
    }
  }

  get #keyset(): Keyset {
    return new Keyset(metaOf(this.#rows), this.#order);
  }

  /** Whether the plan reads all columns of the order. */
  get #knowsOrder(): boolean {
    return Object.keys(this.#order).every((name) => this.#planned?.plan.columns.has(name));
  }

  /** Finds rows whose position may be asked for. */
  async #findPlaced(
    limit: number,
    condition: object | undefined,
    order: ModelOrder,
    isTurned = false,
  ): Promise<object[]> {
    const where = condition ? { $and: [this.#rows.where, condition] } : this.#rows.where;
    if (this.#planned && this.#knowsOrder) return this.#show(this.#planned, { where, order, isTurned, limit });
    const rows = await this.#load({ limit }, where, order, this.#relationsOfOrder(), isTurned);
    await this.#readPlaces(rows);
    return rows;
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

  async #load(
    part: Part,
    where: object,
    order: ModelOrder,
    populate: readonly string[] = [],
    isTurned = false,
  ): Promise<object[]> {
    const { unitOfWork, model } = this.#rows;
    const orderBy = await ormOrder(unitOfWork.reader, metaOf(this.#rows), order, isTurned);
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

/** The order with the key at its end: no two rows have the same position, so pages neither share rows nor miss any. */
function withKey(meta: EntityMetadata, order: ModelOrder): ModelOrder {
  const keys = meta.primaryKeys.filter((name) => !Object.hasOwn(order, name));
  return { ...order, ...Object.fromEntries(keys.map((name) => [name, 'asc' as const])) };
}

/** The reversed order. Nulls move to the other end too: PostgreSQL sorts them last, and first if the order is descending. */
function reversed(order: ModelOrder): ModelOrder {
  return Object.fromEntries(Object.entries(order).map(([name, direction]) => [name, turned(direction)]));
}

function metaOf({ unitOfWork, model }: ModelRows): EntityMetadata {
  return unitOfWork.em.getMetadata(model);
}
