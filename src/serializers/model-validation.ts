import type { EntityManager, EntityMetadata, FilterQuery } from '@mikro-orm/core';
import { ValidationFailed } from '../errors.js';
import { checkProperties } from '../kwargs/kwargs-checker.js';
import type { Class } from '../metadata.js';
import { asStored } from '../orm/model-queries.js';
import { primaryKeyOf } from '../orm/row.js';
import { encodeData, isJsonObject } from '../wire/codec.js';
import type { EmbeddedFields, ModelField } from './model-fields.js';
import { toPrimaryKey } from './model-key.js';

/** The condition on the rows that a client may refer to by a field. */
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

/** Checks the columns first, then class-validator's rules, then the relations, for which it asks the database. */
export async function validateModel(input: ModelInput): Promise<Values> {
  const texts: Texts = {};
  const values = await checkFields(input.fields, input.entity, objectOf(input.raw), input.partial, texts);
  for (const field of input.fields) {
    const { name, target } = field;
    if (target && name in values) await resolveRelation({ ...field, target }, values, texts, input);
  }
  if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
  return values;
}

/** @param path of an embedded value, for the texts: `address.` */
async function checkFields(
  fields: readonly ModelField[],
  owner: Class,
  raw: Values,
  partial: boolean,
  texts: Texts,
  path = '',
): Promise<Values> {
  const values: Values = {};
  for (const field of fields) {
    if (!field.isAccepted) continue;
    const at = `${path}${field.name}`;
    const outcome = checkField(field, raw, partial);
    if ('text' in outcome) texts[at] = [outcome.text];
    else if ('value' in outcome) values[field.name] = await checkEmbedded(field, outcome.value, texts, at);
  }
  const rules = await checkProperties(owner, withRules(fields, withoutNulls(values)));
  addTexts(texts, Object.fromEntries(Object.entries(rules).map(([name, sentences]) => [`${path}${name}`, sentences])));
  return values;
}

/** Checks an embedded value. It replaces the previous one, so each request that sends it must send its required members. */
async function checkEmbedded({ embedded }: ModelField, value: unknown, texts: Texts, path: string): Promise<unknown> {
  if (!embedded || value === null) return value;
  if (!embedded.isList) return checkObject(embedded, value, texts, path);
  const items: unknown[] = [];
  for (const [index, item] of (value as readonly unknown[]).entries())
    items.push(await checkObject(embedded, item, texts, `${path}.${index}`));
  return items;
}

async function checkObject(
  { class: owner, fields }: EmbeddedFields,
  value: unknown,
  texts: Texts,
  path: string,
): Promise<unknown> {
  if (isJsonObject(value)) return checkFields(fields, owner, value, false, texts, `${path}.`);
  texts[path] = [value === null ? 'This field may not be null.' : 'Expected an object.'];
  return undefined;
}

/** Sent keys that will be left out: of no field, of a read-only field, of a column that the database makes. */
export function unacceptedKeys(fields: readonly ModelField[], raw: unknown): readonly string[] {
  if (!isJsonObject(raw)) return [];
  const accepted = new Map(fields.filter(({ isAccepted }) => isAccepted).map((field) => [field.name, field]));
  return Object.entries(raw).flatMap(([key, value]) => {
    const field = accepted.get(key);
    return field ? unacceptedWithin(field, value) : [key];
  });
}

function unacceptedWithin({ name, embedded }: ModelField, value: unknown): readonly string[] {
  if (!embedded) return [];
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return [...new Set(items.flatMap((item) => unacceptedKeys(embedded.fields, item)))].map((key) => `${name}.${key}`);
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
  const isList = field.kind === 'many' || field.embedded?.isList === true;
  if (isList && !Array.isArray(value)) return { text: 'Expected a list of items.' };
  return field.target || field.embedded ? { value } : field.column.check(value);
}

function addTexts(texts: Texts, more: Texts): void {
  for (const [field, sentences] of Object.entries(more))
    texts[field] = [...new Set([...(texts[field] ?? []), ...sentences])];
}

/** The values with embedded ones as instances, by which `@ValidateNested` finds their rules. */
function withRules(fields: readonly ModelField[], values: Values): Values {
  const bearers = fields.flatMap(({ name, embedded }) => {
    const value = values[name];
    return embedded && value ? [[name, bearerOf(embedded, value)] as const] : [];
  });
  return { ...values, ...Object.fromEntries(bearers) };
}

function bearerOf(embedded: EmbeddedFields, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => bearerOf(embedded, item));
  if (!isJsonObject(value)) return value;
  return Object.assign(Object.create(embedded.class.prototype), withRules(embedded.fields, value));
}

/** The values without nulls: the columns have decided whether null is allowed, so class-validator's rules do not apply to it. */
function withoutNulls(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}

type RelationField = ModelField & { readonly target: EntityMetadata };

/** Replaces keys by entities, with one query. A missing row and a row that the client may not see give the same error. */
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
  const rows = await em.find(target.class, where as never, asStored);
  return new Map(rows.map((row) => [encodeData(primaryKeyOf(row)), row]));
}

function byKeys(primaryKeys: readonly string[], keys: readonly unknown[]): object {
  const [only] = primaryKeys;
  return primaryKeys.length === 1 && only !== undefined ? { [only]: { $in: keys } } : { $or: keys };
}
