import type { EntityManager, EntityMetadata, FilterQuery } from '@mikro-orm/core';
import { ValidationFailed } from '../errors.js';
import { checkProperties } from '../kwargs/class-rules.js';
import type { Class } from '../metadata.js';
import { toPrimaryKey } from '../orm/model-key.js';
import { primaryKeyOf } from '../orm/row.js';
import { encodeData, isJsonObject } from '../wire/codec.js';
import type { ModelField } from './model-fields.js';

/** Which rows a client may refer to by a field. */
export type RelationScope = (field: string) => FilterQuery<object>;

export interface ModelInput {
  readonly fields: readonly ModelField[];
  readonly entity: Class;
  readonly raw: unknown;
  readonly partial: boolean;
  readonly em: EntityManager;
  readonly relationScope: RelationScope;
}

type Texts = Record<string, string[]>;
type Values = Record<string, unknown>;

/** Columns first, then class-validator's rules, then the relations that the database has to be asked for. */
export async function validateModel(input: ModelInput): Promise<Values> {
  const raw = objectOf(input.raw);
  const texts: Texts = {};
  const values: Values = {};
  for (const field of input.fields) {
    if (!field.isAccepted) continue;
    const outcome = checkField(field, raw, input.partial);
    if ('text' in outcome) texts[field.name] = [outcome.text];
    else if ('value' in outcome) values[field.name] = outcome.value;
  }
  addTexts(texts, await checkProperties(input.entity, withoutNulls(values)));
  for (const field of input.fields) {
    const { name, target } = field;
    if (target && name in values) await resolveRelation({ ...field, target }, values, texts, input);
  }
  if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
  return values;
}

/** What came and will be left out: keys of no field, of a read-only one, of a column that the database makes. */
export function unacceptedKeys(fields: readonly ModelField[], raw: unknown): readonly string[] {
  const accepted = new Set(fields.filter(({ isAccepted }) => isAccepted).map(({ name }) => name));
  return isJsonObject(raw) ? Object.keys(raw).filter((key) => !accepted.has(key)) : [];
}

function objectOf(raw: unknown): Values {
  if (isJsonObject(raw)) return raw;
  const sentence = raw === undefined || raw === null ? 'No data provided.' : 'Invalid data. Expected an object.';
  const remedy = 'Send the fields of the row as "data": {"action": "create", "request_id": 1, "data": {…}}.';
  throw ValidationFailed.of({ non_field_errors: [sentence] }, { remedy });
}

function checkField(
  field: ModelField,
  raw: Values,
  partial: boolean,
): { value: unknown } | { text: string } | { absent: true } {
  if (!Object.hasOwn(raw, field.name)) {
    return field.isRequired && !partial ? { text: 'This field is required.' } : { absent: true };
  }
  const value = raw[field.name];
  if (value === null) return field.isNullable ? { value } : { text: 'This field may not be null.' };
  if (field.kind === 'many' && !Array.isArray(value)) return { text: 'Expected a list of items.' };
  return field.target ? { value } : field.column.check(value);
}

function addTexts(texts: Texts, more: Texts): void {
  for (const [field, sentences] of Object.entries(more)) texts[field] = [...(texts[field] ?? []), ...sentences];
}

/** Whether a column may be null has been decided; rules for its values have nothing to say on it. */
function withoutNulls(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}

type RelationField = ModelField & { readonly target: EntityMetadata };

/** Keys -> entities, by one query; a row that is not there and one that the client may not see get the same answer. */
async function resolveRelation(field: RelationField, values: Values, texts: Texts, input: ModelInput): Promise<void> {
  const { name, kind, target } = field;
  if (values[name] === null) return;
  const raw = kind === 'many' ? (values[name] as unknown[]) : [values[name]];
  const wanted = raw.map((key) => ({ key, pk: toPrimaryKey(target, key) }));
  const rows = await findRelated(
    field,
    wanted.flatMap(({ pk }) => pk ?? []),
    input,
  );
  const found = wanted.map(({ key, pk }) => ({ key, row: rows.get(encodeData(pk)) }));
  const missing = found.filter(({ row }) => !row).map(({ key }) => key);
  if (missing.length > 0) addTexts(texts, { [name]: missing.map(missingText) });
  const entities = found.map(({ row }) => row);
  values[name] = kind === 'many' ? entities : entities[0];
}

function missingText(key: unknown): string {
  return `Invalid pk ${JSON.stringify(key)} - object does not exist.`;
}

async function findRelated(
  { name, target }: RelationField,
  keys: readonly unknown[],
  { em, relationScope }: ModelInput,
): Promise<ReadonlyMap<string, object>> {
  if (keys.length === 0) return new Map();
  const where = { $and: [byKeys(target.primaryKeys, keys), relationScope(name)] };
  const rows = await em.find(target.class, where as never);
  return new Map(rows.map((row) => [encodeData(primaryKeyOf(row)), row]));
}

function byKeys(primaryKeys: readonly string[], keys: readonly unknown[]): object {
  const [only] = primaryKeys;
  return primaryKeys.length === 1 && only !== undefined ? { [only]: { $in: keys } } : { $or: keys };
}
