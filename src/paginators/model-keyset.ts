import { type EntityMetadata, type EntityProperty, Reference } from '@mikro-orm/core';
import { ConfigurationError, ValidationFailed } from '../errors.js';
import {
  atEndOf,
  isRelation,
  isToMany,
  type ModelOrder,
  type ModelPath,
  mayBeMissing,
  pathOf,
} from '../orm/model-paths.js';
import { asRaw, type ValueSql } from '../orm/model-queries.js';
import { primaryKeyOf } from '../orm/row.js';
import { columnKind, isComparable } from '../serializers/model-columns.js';
import { comparedValue, showKey, toPrimaryKey } from '../serializers/model-key.js';
import { encodeData } from '../wire/codec.js';

/** Positions in the order of a list. The order has to end with the key, so that no two rows share a position. */
export class Keyset {
  readonly #columns: readonly KeysetColumn[];
  readonly #name: string;

  /**
   * @param firsts for paths that lead to many values: SQL of the value that places the row
   * @throws ConfigurationError if the order names something that is no column
   */
  constructor(
    meta: EntityMetadata,
    order: ModelOrder,
    private readonly firsts: ReadonlyMap<string, ValueSql> = new Map(),
  ) {
    this.#columns = Object.entries(order).map(([name, direction]) => ({ path: columnOf(meta, name), direction }));
    this.#name = this.#columns.map(({ path, direction }) => (direction === 'asc' ? path.text : `-${path.text}`)).join();
  }

  /** @param texts values of the order that the row itself does not show, by their paths */
  positionOf(row: object, texts: ReadonlyMap<string, string | null> = new Map()): string {
    return this.positionAt(
      this.#columns.map(({ path }) => (leadsToMany(path) ? (texts.get(path.text) ?? null) : columnValue(row, path))),
    );
  }

  /** @param values of the columns of the order */
  positionAt(values: readonly unknown[]): string {
    return Buffer.from(encodeData([this.#name, ...values])).toString('base64url');
  }

  /**
   * The condition for the rows after a position.
   *
   * @throws ValidationFailed for a text that is no position in this order
   */
  behind(position: string): object {
    return this.#beyond(this.#decode(position), (direction) => direction);
  }

  /** The condition for the rows before a position: those after it in the reversed order. */
  ahead(position: string): object {
    return this.#beyond(this.#decode(position), (direction) => (direction === 'asc' ? 'desc' : 'asc'));
  }

  #beyond(values: readonly unknown[], turned: (direction: Direction) => Direction): object {
    const alternatives = this.#columns.flatMap(({ path, direction }, index) => {
      const equal = this.#columns.slice(0, index).map((column, before) => this.#at(column.path, values[before]));
      const beyond = this.#beyondIn(path, turned(direction), values[index]);
      return beyond ? [{ $and: [...equal, beyond] }] : [];
    });
    return { $or: alternatives };
  }

  #at(path: ModelPath, value: unknown): object {
    const first = this.firsts.get(path.text);
    return first ? { [asRaw(first)]: value } : atEndOf(path.steps, { [path.last.name]: value });
  }

  /** PostgreSQL sorts nulls last, and first if the order is descending. */
  #beyondIn(path: ModelPath, direction: Direction, value: unknown): object | undefined {
    if (direction === 'desc') return this.#at(path, value === null ? { $ne: null } : { $lt: value });
    if (value === null) return undefined;
    const greater = this.#at(path, { $gt: value });
    return mayBeNull(path) ? { $or: [greater, this.#at(path, null)] } : greater;
  }

  #decode(position: string): unknown[] {
    const parts = parsed(position);
    if (!Array.isArray(parts) || parts.length !== this.#columns.length + 1 || parts[0] !== this.#name) throw invalid();
    return this.#columns.map(({ path }, index) => checked(path, parts[index + 1]));
  }
}

type Direction = ModelOrder[string];

interface KeysetColumn {
  readonly path: ModelPath;
  readonly direction: Direction;
}

function mayBeNull({ steps, last }: ModelPath): boolean {
  return [...steps, last].some((prop) => mayBeMissing(prop) || isToMany(prop));
}

export function leadsToMany({ steps }: ModelPath): boolean {
  return steps.some(isToMany);
}

function columnOf(meta: EntityMetadata, name: string): ModelPath {
  const path = pathOf(meta, name);
  if (path && isReadable(path.last) && (!leadsToMany(path) || hasTexts(meta, path))) return path;
  throw new ConfigurationError({
    class: meta.className,
    member: name,
    reason: 'is in the order of a list with cursors, but is not a column with loaded, comparable values.',
    remedy: 'Order by other columns, or use another paginator.',
  });
}

/** Whether the position needs a value that the row does not show, which is then read as text, by the text of the row's key. */
function hasTexts(meta: EntityMetadata, { last }: ModelPath): boolean {
  const isPlain = ({ targetMeta, runtimeType }: EntityProperty): boolean =>
    !targetMeta && ['number', 'string', 'bigint'].includes(runtimeType);
  return !last.targetMeta && meta.getPrimaryProps().every(isPlain);
}

function isReadable(prop: EntityProperty): boolean {
  const isPlain = !prop.formula && !prop.lazy && !prop.polymorphic && !isToMany(prop);
  return isPlain && (isRelation(prop) || isComparable(prop));
}

/** The value in its shown form, in which clients send values of the column back. */
function columnValue(row: object, { steps, last }: ModelPath): unknown {
  let owner: object | null = row;
  for (const { name } of steps) owner = owner && referred(Reflect.get(owner, name));
  const value: unknown = (owner && Reflect.get(owner, last.name)) ?? null;
  if (value === null || !last.targetMeta) return value === null ? null : columnKind(last).show(value);
  return showKey(last.targetMeta, primaryKeyOf(referred(value) as object));
}

function referred(value: unknown): object | null {
  return value instanceof Reference ? value.unwrap() : ((value as object | undefined) ?? null);
}

function parsed(position: string): unknown {
  try {
    return JSON.parse(Buffer.from(position, 'base64url').toString());
  } catch {
    throw invalid();
  }
}

function checked(path: ModelPath, value: unknown): unknown {
  const { last: prop } = path;
  if (value === null) {
    if (mayBeNull(path)) return null;
    throw invalid();
  }
  if (leadsToMany(path)) {
    if (typeof value === 'string') return value;
    throw invalid();
  }
  if (prop.targetMeta) {
    const key = toPrimaryKey(prop.targetMeta, value);
    if (key === undefined) throw invalid();
    return key;
  }
  const outcome = comparedValue(prop, value);
  if ('text' in outcome) throw invalid();
  return outcome.value;
}

function invalid(): ValidationFailed {
  return ValidationFailed.of({ cursor: ['This cursor does not belong to this list.'] });
}
