import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { ConfigurationError, ValidationFailed } from '../errors.js';
import { isComparable, isText } from '../serializers/model-columns.js';
import { comparedValue, toPrimaryKey } from '../serializers/model-key.js';
import type { FilterOptions } from './filter-types.js';

export type AnyFilterOptions = FilterOptions<string, string, string>;
type Kwargs = Readonly<Record<string, unknown>>;
type Outcome = { readonly value: unknown } | { readonly text: string };

const longestSearch = 200;

/** The filters of one consumer: what a client sent -> a condition and an order, or the texts of what is wrong with it. */
export class ModelFilters {
  readonly #fields: ReadonlyMap<string, EntityProperty>;
  readonly #ordering: readonly string[];
  readonly #search: readonly string[];

  /** @throws ConfigurationError where a name is no column of its kind */
  constructor(meta: EntityMetadata, { fields = [], ordering = [], search = [] }: AnyFilterOptions) {
    this.#fields = new Map(fields.map((name) => [name, comparedColumnOf(meta, name)]));
    this.#ordering = ordering.map((name) => columnOf(meta, name).name);
    this.#search = search.map((name) => textColumnOf(meta, name).name);
  }

  /** @throws ValidationFailed */
  where({ filter, search }: Kwargs): object {
    return { $and: [...this.#fieldConditions(filter), ...this.#searchConditions(search)] };
  }

  /** @throws ValidationFailed */
  order({ ordering }: Kwargs): Readonly<Record<string, 'asc' | 'desc'>> {
    if (ordering === undefined || this.#ordering.length === 0) return {};
    const names: unknown[] = Array.isArray(ordering) ? ordering : [ordering];
    return Object.fromEntries(
      names.map((name) => {
        const isDescending = typeof name === 'string' && name.startsWith('-');
        const field = isDescending ? name.slice(1) : name;
        if (typeof field !== 'string' || !this.#ordering.includes(field)) {
          throw ValidationFailed.of({ ordering: [unknownText(name, this.#ordering)] });
        }
        return [field, isDescending ? 'desc' : 'asc'];
      }),
    );
  }

  #fieldConditions(filter: unknown): object[] {
    if (filter === undefined || this.#fields.size === 0) return [];
    if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) {
      throw ValidationFailed.of({ filter: ['Invalid data. Expected an object.'] });
    }
    const texts: Record<string, readonly string[]> = {};
    const conditions = Object.entries(filter).map(([name, value]) => {
      const prop = this.#fields.get(name);
      const outcome = prop ? conditionOf(prop, value) : { text: unknownText(name, [...this.#fields.keys()]) };
      if ('value' in outcome) return { [name]: outcome.value };
      texts[`filter.${name}`] = [outcome.text];
      return {};
    });
    if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
    return conditions;
  }

  #searchConditions(search: unknown): object[] {
    if (search === undefined || this.#search.length === 0) return [];
    const text = textOfSearch(search);
    if (text !== undefined) throw ValidationFailed.of({ search: [text] });
    const words = String(search).split(/\s+/).filter(Boolean);
    return words.map((word) => ({ $or: this.#search.map((name) => ({ [name]: { $ilike: patternOf(word) } })) }));
  }
}

function conditionOf(prop: EntityProperty, value: unknown): Outcome {
  if (!Array.isArray(value)) return oneValue(prop, value);
  const items = value.map((item) => oneValue(prop, item));
  const failed = items.find((item) => 'text' in item);
  if (failed) return failed;
  const values = items.map((item) => ('value' in item ? item.value : undefined));
  return { value: { $in: values } };
}

function oneValue(prop: EntityProperty, value: unknown): Outcome {
  if (value === null) return prop.nullable ? { value } : { text: 'This field may not be null.' };
  if (!prop.targetMeta) return comparedValue(prop, value);
  const key = toPrimaryKey(prop.targetMeta, value);
  return key === undefined ? { text: `${JSON.stringify(value)} is no key.` } : { value: key };
}

function textOfSearch(search: unknown): string | undefined {
  if (typeof search !== 'string') return 'Not a valid string.';
  if (search.includes('\u0000')) return 'Null characters are not allowed.';
  return search.length > longestSearch ? `Ensure this field has no more than ${longestSearch} characters.` : undefined;
}

function patternOf(word: string): string {
  return `%${word.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
}

function unknownText(name: unknown, known: readonly string[]): string {
  return `${JSON.stringify(name)} is not known here. Known are ${known.join(', ')}.`;
}

function columnOf(meta: EntityMetadata, name: string): EntityProperty {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (prop?.kind === 'scalar' && prop.persist !== false) return prop;
  if ((prop?.kind === 'm:1' || prop?.kind === '1:1') && !prop.mappedBy) return prop;
  throw fault(meta, name, 'is no column of the model.', 'Name columns, or write it in filterQuery(query, context).');
}

function comparedColumnOf(meta: EntityMetadata, name: string): EntityProperty {
  const prop = columnOf(meta, name);
  const remedy = 'Write the condition in filterQuery(query, context), where you decide what it may say.';
  if (prop.polymorphic)
    throw fault(meta, name, 'refers to rows of several classes, and a key alone does not say of which.', remedy);
  if (prop.targetMeta || isComparable(prop)) return prop;
  throw fault(
    meta,
    name,
    'is to be filtered, and its values cannot be compared as they come (JSON, a list, binary data).',
    remedy,
  );
}

function textColumnOf(meta: EntityMetadata, name: string): EntityProperty {
  const prop = columnOf(meta, name);
  if (isText(prop)) return prop;
  throw fault(meta, name, 'is to be searched, and holds no text.', 'Search in text columns.');
}

function fault(meta: EntityMetadata, member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: meta.className, member, reason, remedy });
}
