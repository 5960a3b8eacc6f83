import { type EntityMetadata, type EntityProperty, Reference } from '@mikro-orm/core';
import { ConfigurationError, ValidationFailed } from '../errors.js';
import { primaryKeyOf } from '../orm/row.js';
import { columnKind, isComparable } from '../serializers/model-columns.js';
import { comparedValue, showKey, toPrimaryKey } from '../serializers/model-key.js';
import { encodeData } from '../wire/codec.js';

export type Order = Readonly<Record<string, 'asc' | 'desc'>>;

/** Positions in the order of a list, which has to end with the key so that no two rows share one. */
export class Keyset {
  readonly #columns: readonly { readonly prop: EntityProperty; readonly direction: 'asc' | 'desc' }[];
  readonly #name: string;

  /** @throws ConfigurationError where the order names what is no column */
  constructor(meta: EntityMetadata, order: Order) {
    this.#columns = Object.entries(order).map(([name, direction]) => ({ prop: columnOf(meta, name), direction }));
    this.#name = this.#columns.map(({ prop, direction }) => (direction === 'asc' ? prop.name : `-${prop.name}`)).join();
  }

  positionOf(row: object): string {
    return this.positionAt(this.#columns.map(({ prop }) => columnValue(row, prop)));
  }

  /** @param values of the columns of the order */
  positionAt(values: readonly unknown[]): string {
    return Buffer.from(encodeData([this.#name, ...values])).toString('base64url');
  }

  /**
   * The condition of the rows behind a position.
   *
   * @throws ValidationFailed for what is no position in this order
   */
  behind(position: string): object {
    const values = this.#decode(position);
    const alternatives = this.#columns.flatMap((_, index) => {
      const equal = this.#columns.slice(0, index).map(({ prop }, before) => ({ [prop.name]: values[before] }));
      const beyond = this.#beyond(index, values[index]);
      return beyond ? [{ $and: [...equal, beyond] }] : [];
    });
    return { $or: alternatives };
  }

  /** PostgreSQL puts nulls last, and first where the order is descending. */
  #beyond(index: number, value: unknown): object | undefined {
    const column = this.#columns[index];
    if (!column) return undefined;
    const { prop, direction } = column;
    if (direction === 'desc') return { [prop.name]: value === null ? { $ne: null } : { $lt: value } };
    if (value === null) return undefined;
    const greater = { [prop.name]: { $gt: value } };
    return prop.nullable ? { $or: [greater, { [prop.name]: null }] } : greater;
  }

  #decode(position: string): unknown[] {
    const parts = parsed(position);
    if (!Array.isArray(parts) || parts.length !== this.#columns.length + 1 || parts[0] !== this.#name) throw invalid();
    return this.#columns.map(({ prop }, index) => checked(prop, parts[index + 1]));
  }
}

function columnOf(meta: EntityMetadata, name: string): EntityProperty {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (prop && !prop.formula && !prop.lazy && (isRelation(prop) ? !prop.polymorphic : isComparable(prop))) return prop;
  throw new ConfigurationError({
    class: meta.className,
    member: name,
    reason: 'is in the order of a list with cursors, and is no column whose values are loaded and can be compared.',
    remedy: 'Order by other columns, or use another paginator.',
  });
}

function isRelation({ kind }: EntityProperty): boolean {
  return kind === 'm:1' || kind === '1:1';
}

/** As it is shown, so that it comes back as every value of the column comes. */
function columnValue(row: object, prop: EntityProperty): unknown {
  const value: unknown = Reflect.get(row, prop.name) ?? null;
  if (value === null || !prop.targetMeta) return value === null ? null : columnKind(prop).show(value);
  return showKey(prop.targetMeta, primaryKeyOf(value instanceof Reference ? value.unwrap() : value));
}

function parsed(position: string): unknown {
  try {
    return JSON.parse(Buffer.from(position, 'base64url').toString());
  } catch {
    throw invalid();
  }
}

function checked(prop: EntityProperty, value: unknown): unknown {
  if (value === null) {
    if (prop.nullable) return null;
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
  return ValidationFailed.of({ cursor: ['This is no cursor of this list.'] });
}
