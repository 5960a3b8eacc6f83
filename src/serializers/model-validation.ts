import type { EntityManager, FilterQuery } from '@mikro-orm/core';
import { ValidationFailed } from '../errors.js';
import { checkProperties } from '../kwargs/class-rules.js';
import type { Class } from '../metadata.js';
import { toPrimaryKey } from '../orm/model-key.js';
import { isJsonObject } from '../wire/codec.js';
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
  addTexts(texts, await checkProperties(input.entity, values));
  for (const field of input.fields) {
    if (field.target && field.name in values) await resolveRelation(field, values, texts, input);
  }
  if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
  return values;
}

function objectOf(raw: unknown): Values {
  if (isJsonObject(raw)) return raw;
  const sentence = raw === undefined || raw === null ? 'No data provided.' : 'Invalid data. Expected an object.';
  throw ValidationFailed.of({ non_field_errors: [sentence] });
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
  return field.target ? { value } : field.check(value);
}

function addTexts(texts: Texts, more: Texts): void {
  for (const [field, sentences] of Object.entries(more)) texts[field] = [...(texts[field] ?? []), ...sentences];
}

/** Keys -> entities; a row that is not there and one that the client may not see get the same answer. */
async function resolveRelation(field: ModelField, values: Values, texts: Texts, input: ModelInput): Promise<void> {
  const raw = values[field.name];
  if (raw === null) return;
  const found: object[] = [];
  for (const key of field.kind === 'many' ? (raw as unknown[]) : [raw]) {
    const entity = await findRelated(field, key, input);
    if (entity) found.push(entity);
    else addTexts(texts, { [field.name]: [`Invalid pk ${JSON.stringify(key)} - object does not exist.`] });
  }
  values[field.name] = field.kind === 'many' ? found : found[0];
}

async function findRelated({ name, target }: ModelField, raw: unknown, input: ModelInput): Promise<object | null> {
  const pk = target && toPrimaryKey(target, raw);
  if (!target || pk === undefined) return null;
  return input.em.findOne(target.class, { $and: [byKey(target.primaryKeys, pk), input.relationScope(name)] } as never);
}

function byKey(primaryKeys: readonly string[], pk: unknown): object {
  const [only] = primaryKeys;
  return primaryKeys.length === 1 && only !== undefined ? { [only]: pk } : (pk as object);
}
