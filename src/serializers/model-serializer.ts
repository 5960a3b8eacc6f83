import {
  Collection,
  type EntityManager,
  type EntityMetadata,
  type FilterQuery,
  helper,
  isRaw,
  OptimisticLockError,
  Reference,
  type RequiredEntityData,
  ScalarReference,
} from '@mikro-orm/core';
import { ApiError, ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { keyOf } from '../orm/change-capture.js';
import { isUnloaded } from '../orm/model-entity.js';
import { primaryKeyOf, propOf } from '../orm/row.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { unknownEntity } from '../orm/unknown-entity.js';
import { encodeData } from '../wire/codec.js';
import { askRights, isWithin } from './field-rights.js';
import type { ColumnKind } from './model-columns.js';
import { type EmbeddedFields, fieldsWithin, type ModelField, modelFields } from './model-fields.js';
import { showKey } from './model-key.js';
import type {
  CheckedData,
  DeclaredOptions,
  ModelSerializerOptions,
  ModelTypes,
  modelTypes,
  OnlyKnownOptions,
  RowData,
} from './model-types.js';
import { type RelationScope, unacceptedKeys, validateModel } from './model-validation.js';
import { type AnySerializer, Serializer, type SerializerClass, type SerializerContext } from './serializer.js';

/** The base class of `ModelSerializer(Entity, options)`. */
export abstract class BaseModelSerializer<Entity extends object, Options>
  extends Serializer<Entity, unknown>
  implements ModelTypes<Entity, Options>
{
  declare readonly [modelTypes]: { readonly entity: Entity; readonly options: Options };
  /** The entity that was passed to `ModelSerializer`. */
  static readonly entity: ConcreteClass<object>;
  /** The options that were passed to `ModelSerializer`. */
  static readonly options: DeclaredOptions;

  /** Shows the fields of a row; returns a promise only if a computed field does. */
  toData(entity: Entity, context: SerializerContext): Record<string, unknown> | Promise<Record<string, unknown>> {
    const data: Record<string, unknown> = {};
    const pending: Promise<void>[] = [];
    for (const field of this.#fieldsWithin(context)) {
      if (!field.isShown) continue;
      const value = readField(this, field, entity, context);
      data[field.name] = value;
      if (value instanceof Promise) pending.push(settle(data, field.name, value));
    }
    return pending.length === 0 ? data : Promise.all(pending).then(() => data);
  }

  override pathsToLoad(context: SerializerContext): readonly string[] {
    const paths = this.#fieldsWithin(context)
      .filter(({ isShown }) => isShown)
      .flatMap((field) => pathsOf(field, context));
    return [...paths, ...(this.#class.options.populate ?? [])];
  }

  /**
   * Checks what a client sent and returns data to create or update a row with. Fields that the serializer does not accept, and fields that
   * the client has no rights to, are left out, with a note in the development log.
   *
   * @param partial if true, missing fields stay as they are (patch)
   * @throws ValidationFailed with the texts of each field
   */
  async validate(
    raw: unknown,
    context: SerializerContext,
    { partial = false } = {},
  ): Promise<CheckedData<Entity, Options>> {
    const input = this.#input(context);
    if (input) return (await input.validate(raw, context, { partial })) as CheckedData<Entity, Options>;
    const rights = await askRights(this.#class, context);
    const fields = this.#fieldsWithin({ ...context, rights });
    const dropped = unacceptedKeys(fields, raw);
    if (dropped.length > 0) context.noteDropped?.(this.#class.name, dropped);
    const data = await validateModel({
      fields,
      entity: this.#class.entity,
      raw,
      partial,
      em: context.unitOfWork.em,
      relationScope: ((field) => this.relationQuery(field, context)) satisfies RelationScope,
    });
    await this.check(data as CheckedData<Entity, Options>, context);
    return data as CheckedData<Entity, Options>;
  }

  /** Makes the entity; the next flush writes it. Ignores a version that the client sent, because the row is new. */
  async create(data: RowData<Entity>, context: SerializerContext): Promise<Entity> {
    const input = this.#input(context);
    if (input) return input.create(data, context);
    const { rest } = this.#withoutVersion(data, context);
    const whole = withMissingEmbedded(this.#fieldsFor(context), rest);
    return context.unitOfWork.em.create(this.#class.entity, whole as RequiredEntityData<Entity>);
  }

  /**
   * Changes the entity; the next flush writes it. A sent embedded value replaces the previous one.
   *
   * @throws OptimisticLockError (409 to the client) if the data have an older version than the row
   */
  async update(entity: Entity, data: RowData<Entity>, context: SerializerContext): Promise<Entity> {
    const input = this.#input(context);
    if (input) return input.update(entity, data, context);
    const { em } = context.unitOfWork;
    const { version, rest } = this.#withoutVersion(data, context);
    if (version) checkVersion(entity, version.name, version.value);
    const fields = this.#fieldsFor(context).filter(({ name }) => name in rest);
    // A collection that was not loaded cannot tell which members `set` removes, and a lazy column not whether it changes.
    const unloaded = fields.flatMap((field) => (field.kind === 'many' ? [field.name] : lazyProperties(field)));
    await context.unitOfWork.load([entity], unloaded);
    for (const field of fields) {
      if (rest[field.name] === null && isLoadedNull(entity, field.name, em)) delete rest[field.name];
      else if (field.kind === 'column') setColumn(entity, field, rest);
      else if (field.embedded) setEmbedded(entity, field, field.embedded, rest, em);
    }
    em.assign(entity, rest as never, { mergeEmbeddedProperties: false });
    return entity;
  }

  #withoutVersion(data: RowData<Entity>, context: SerializerContext): VersionedData {
    const field = this.#fieldsFor(context).find(({ isVersion, name }) => isVersion && name in data);
    if (!field) return { version: undefined, rest: { ...data } };
    const { [field.name]: value, ...rest } = data as Record<string, unknown>;
    return { version: { name: field.name, value }, rest };
  }

  /**
   * Checks rules that concern several fields; does nothing by default. Override it, and throw `ValidationFailed.of({ field: ['text'] })`.
   */
  protected async check(_data: CheckedData<Entity, Options>, _context: SerializerContext): Promise<void> {}

  /** The condition on the rows that a client may refer to by this field; default: all rows. */
  protected relationQuery(_field: string, _context: SerializerContext): FilterQuery<object> {
    return {};
  }

  #input(context: SerializerContext): BaseModelSerializer<Entity, unknown> | undefined {
    const { input } = this.#class.options;
    return input && (context.resolve(input) as BaseModelSerializer<Entity, unknown>);
  }

  get #class(): DeclaredSerializer & { readonly entity: ConcreteClass<Entity> } {
    return this.constructor as DeclaredSerializer & { readonly entity: ConcreteClass<Entity> };
  }

  #fieldsWithin(context: SerializerContext): readonly ModelField[] {
    const { options } = this.#class;
    const fields = this.#fieldsFor(context);
    return options.rights ? fields.filter(({ name }) => isWithin(options, name, context.rights)) : fields;
  }

  #fieldsFor({ unitOfWork: { em } }: SerializerContext): readonly ModelField[] {
    return fieldsOf(this.#class, em);
  }
}

/** The data that a client sent for a row, and separately the version of the row that the client knows. */
interface VersionedData {
  readonly version: { readonly name: string; readonly value: unknown } | undefined;
  readonly rest: Record<string, unknown>;
}

/** Compares the versions. MikroORM detects changes between this check and the flush. */
function checkVersion(entity: object, name: string, seen: unknown): void {
  const current: unknown = Reflect.get(entity, name);
  if (encodeData(current) === encodeData(seen)) return;
  throw OptimisticLockError.lockFailedVersionMismatch(entity, seen as number, current as number);
}

/** The type of the class that `ModelSerializer(Entity, options)` returns. */
export type ModelSerializerClass<Entity extends object, Options> = abstract new () => BaseModelSerializer<
  Entity,
  Options
>;

/**
 * Makes a serializer class from an entity.
 *
 * ```ts
 * @injectable()
 * class MessageSerializer extends ModelSerializer(Message, {
 *   fields: ['id', 'text', 'user'], readOnly: ['user'], nested: { user: UserSerializer }, computed: ['age'],
 * }) {
 *   constructor(private readonly clock: Clock) { super(); }
 *   age(message: Message) { return this.clock.now().getTime() - message.createdAt.getTime(); }
 * }
 * ```
 *
 * The columns (null, type, length, precision, enum, existing relation) and class-validator's decorators on the entity check what a client
 * sends; a duplicate of a unique value is a 409. Rows are shown as `{"id": 1, "text": "hi", "user": {"id": 2, "username": "ann"}, "age":
 * 1200}`.
 */
export function ModelSerializer<
  Entity extends object,
  const Options extends ModelSerializerOptions<Entity> & OnlyKnownOptions<Options>,
>(entity: ConcreteClass<Entity>, options: Options): ModelSerializerClass<Entity, Options> {
  abstract class Generated extends BaseModelSerializer<Entity, Options> {
    static override readonly entity = entity;
    static override readonly options = options as DeclaredOptions;
  }
  return Generated;
}

/** The shown value of one field. */
function readField(serializer: AnySerializer, field: ModelField, entity: object, context: SerializerContext): unknown {
  if (field.kind === 'computed') return compute(serializer, field.name, entity, context);
  const value = unwrapScalar(Reflect.get(entity, field.name));
  if (value === null || value === undefined) return field.kind === 'many' ? [] : null;
  if (field.kind === 'column') return field.column.show(value);
  if (field.embedded) return showEmbedded(field.embedded, value);
  if (field.kind === 'one') return showRelated(field, unwrap(value), context);
  const items = value instanceof Collection ? inOrder(value) : [];
  return settled(items.map((item) => showRelated(field, item, context)));
}

function unwrapScalar(value: unknown): unknown {
  return ScalarReference.isScalarReference(value) ? value.unwrap() : value;
}

/**
 * Takes out of the data what MikroORM's `assign` would handle wrongly. A value that is shown like the one before it is no change, but the
 * ORM would write another `Date` or `Buffer`; values in a reference and of the application's own types it refuses.
 */
function setColumn(entity: object, { name, column, isChecked }: ModelField, data: Record<string, unknown>): void {
  const reference: unknown = Reflect.get(entity, name);
  const current = unwrapScalar(reference);
  const value = data[name];
  if (isRaw(value)) return;
  const isSame = current !== undefined && shownText(column, current) === shownText(column, value);
  if (!isSame && !isChecked) return;
  delete data[name];
  if (isSame) return;
  if (ScalarReference.isScalarReference(reference)) reference.set(value);
  else Reflect.set(entity, name, isInReference(entity, name) ? new ScalarReference(value, true) : value);
}

/**
 * Whether the property holds a `ScalarReference`. With `forceUndefined` MikroORM makes none for null, so the entity may lack one when a
 * value is set.
 */
function isInReference(entity: object, name: string): boolean {
  const prop = propOf(helper(entity).__meta, name);
  return prop.ref === true;
}

/** Whether null was loaded. With `forceUndefined` the entity has undefined for it, and MikroORM takes null for a change. */
function isLoadedNull(entity: object, name: string, em: EntityManager): boolean {
  if (!em.config.get('forceUndefined') || unwrapScalar(Reflect.get(entity, name)) !== undefined) return false;
  const { __loadedProperties: loaded, __meta: meta } = helper(entity);
  const { embeddedProps = {} } = propOf(meta, name);
  return loaded.has(name) || Object.values(embeddedProps).some((inner) => loaded.has(inner.name));
}

function shownText({ show }: ColumnKind, value: unknown): string {
  return encodeData(value === null || value === undefined ? null : show(value));
}

/** Sets null for each missing embedded value, also within another one: otherwise the defaults of its columns would make one. */
function withMissingEmbedded(fields: readonly ModelField[], values: Record<string, unknown>): Record<string, unknown> {
  const whole = { ...values };
  for (const { name, embedded, mayBeNone } of fields) {
    const value = whole[name];
    if (embedded && mayBeNone && value === undefined) whole[name] = null;
    else if (embedded && isPlain(value)) whole[name] = withMissingEmbedded(embedded.fields, value);
  }
  return whole;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/**
 * Takes an embedded value out of the data, and sets it as `create` does: MikroORM's `assign` would check its members by the types that the
 * compiler emitted, which binary data, durations and the application's types do not match.
 */
function setEmbedded(
  entity: object,
  { name, isNullable }: ModelField,
  embedded: EmbeddedFields,
  data: Record<string, unknown>,
  em: EntityManager,
): void {
  const value = data[name];
  if (value === null || value === undefined || isRaw(value)) return;
  delete data[name];
  const current: unknown = Reflect.get(entity, name);
  if (isSameEmbedded(embedded, current, value)) return;
  const { __meta: meta, __schema: schema } = helper(entity);
  const hydrator = em.config.getHydrator(em.getMetadata());
  const sent = { [name]: value } as never;
  Reflect.set(entity, name, undefined);
  hydrator.hydrate(entity as never, meta as never, sent, em.getEntityFactory(), 'full', true, false, schema);
  completeEmbedded(embedded, Reflect.get(entity, name), current, em);
  if (isNullable && isNone(embedded, Reflect.get(entity, name))) Reflect.set(entity, name, null);
}

/** Whether null in all of its columns stores the value, so that the row has none. */
function isNone({ fields, isInline }: EmbeddedFields, object: unknown): boolean {
  if (object === null || object === undefined) return true;
  if (!isInline) return false;
  return fields
    .filter(({ isMade }) => !isMade)
    .every(({ name, embedded }) => {
      const value: unknown = Reflect.get(object, name);
      return embedded ? isNone(embedded, value) : value === null || value === undefined;
    });
}

/** Sets members that were not sent, which MikroORM would set to null, whatever their defaults are. */
function completeEmbedded(
  { fields, isList, isInline }: EmbeddedFields,
  value: unknown,
  current: unknown,
  em: EntityManager,
): void {
  if (isList && Array.isArray(value)) for (const item of value) completeObject(fields, item, undefined, em);
  else completeObject(fields, value, isInline ? current : undefined, em);
}

/** @param current the value before, if there is one: the defaults of columns do not apply to an update */
function completeObject(fields: readonly ModelField[], object: unknown, current: unknown, em: EntityManager): void {
  if (typeof object !== 'object' || object === null) return;
  for (const { name, embedded, isMade, absent } of fields) {
    if (isMade) continue;
    const value: unknown = Reflect.get(object, name);
    const former: unknown = Reflect.get(Object(current), name);
    if (embedded && value) completeEmbedded(embedded, value, former, em);
    if (value !== undefined) continue;
    const missing = absent?.(object, em);
    const kept = missing === undefined ? former : missing;
    if (kept !== undefined) Reflect.set(object, name, kept);
  }
}

/**
 * Whether each field that can be set, hidden ones included, has the value that it had. A missing field is null to the client, but other
 * JSON to MikroORM.
 */
function isSameEmbedded(embedded: EmbeddedFields, current: unknown, value: unknown): boolean {
  const settable = settableFields(embedded);
  const text = (object: unknown): string => encodeData(object && showEmbedded(settable, object));
  return current !== undefined && text(current) === text(value);
}

function settableFields(embedded: EmbeddedFields): EmbeddedFields {
  const fields = embedded.fields
    .filter(({ isMade }) => !isMade)
    .map((field) => ({ ...field, isShown: true, ...(field.embedded && { embedded: settableFields(field.embedded) }) }));
  return { ...embedded, fields };
}

function showEmbedded({ fields, isList }: EmbeddedFields, value: unknown): unknown {
  if (isList && Array.isArray(value)) return value.map((item) => showObject(fields, item));
  return showObject(fields, value);
}

function showObject(fields: readonly ModelField[], object: unknown): unknown {
  if (typeof object !== 'object' || object === null) return null;
  return Object.fromEntries(
    fields.filter(({ isShown }) => isShown).map((field) => [field.name, showInner(field, object)]),
  );
}

function showInner({ name, column, embedded, target }: ModelField, object: object): unknown {
  const value = unwrapScalar(Reflect.get(object, name));
  if (value === null || value === undefined) return null;
  if (embedded) return showEmbedded(embedded, value);
  return target ? showKey(target, primaryKeyOf(unwrap(value))) : column.show(value);
}

/** The rows in the order that the relation declares, or else by their keys: every read and event shows this order. */
function inOrder(collection: Collection<object>): readonly object[] {
  const items = collection.getItems(false);
  const { orderBy, fixedOrder } = collection.property;
  if (orderBy || fixedOrder) return items;
  const places = new Map(items.map((item) => [item, keyOf(item).map(comparable)] as const));
  return [...items].sort((one, other) => compared(places.get(one) ?? [], places.get(other) ?? []));
}

/**
 * The part for a comparison. A bigint is sent as a text of digits, and both compare equal, because the key of one relation has one type.
 */
function comparable(part: unknown): unknown {
  return typeof part === 'string' && /^-?\d{1,19}$/.test(part) ? BigInt(part) : part;
}

/** Compares keys part by part. */
function compared(one: readonly unknown[], other: readonly unknown[]): number {
  const at = one.findIndex((part, index) => part !== other[index]);
  if (at === -1) return 0;
  const [left, right] = [one[at], other[at]] as readonly [string, string];
  return left < right ? -1 : 1;
}

function compute(serializer: object, name: string, entity: object, context: SerializerContext): unknown {
  const method: (entity: object, context: SerializerContext) => unknown = Reflect.get(serializer, name);
  const fail = (error: unknown): never => {
    throw unloadedRelations(serializer, name, entity, error) ?? error;
  };
  try {
    const value = method.call(serializer, entity, context);
    return value instanceof Promise ? value.catch(fail) : value;
  } catch (error) {
    return fail(error);
  }
}

/** The error of a computed field that failed because relations of the row were not loaded; undefined if it failed for another reason. */
function unloadedRelations(
  serializer: object,
  member: string,
  entity: object,
  error: unknown,
): ConfigurationError | undefined {
  if (error instanceof ApiError || !(error instanceof Error)) return undefined;
  const names = helper(entity)
    .__meta.relations.filter(({ name }) => isUnloadedRelation(Reflect.get(entity, name)))
    .map(({ name }) => name);
  const [first] = names;
  if (first === undefined) return undefined;
  return new ConfigurationError({
    class: serializer.constructor.name,
    member,
    reason: `failed on a row of ${entity.constructor.name} whose ${names.join(', ')} ${names.length > 1 ? 'are' : 'is'} not loaded: ${error.message}`,
    remedy: `Declare what it reads: reads: { ${member}: ['${first}.…'] }, or name the relations that it needs in populate.`,
  });
}

function isUnloadedRelation(value: unknown): boolean {
  if (value instanceof Collection) return !value.isInitialized();
  if (typeof value !== 'object' || value === null) return false;
  return isUnloaded(value instanceof Reference ? value.unwrap() : value);
}

function showRelated({ nested }: ModelField, related: object, context: SerializerContext): unknown {
  if (nested) return context.resolve(nested).toData(related, context);
  return showKey(helper(related).__meta as EntityMetadata, primaryKeyOf(related));
}

function unwrap(value: unknown): object {
  return value instanceof Reference ? value.unwrap() : (value as object);
}

/** The values, or one promise of them if any value is a promise. */
function settled(values: unknown[]): unknown {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : values;
}

async function settle(data: Record<string, unknown>, name: string, value: Promise<unknown>): Promise<void> {
  data[name] = await value;
}

function pathsOf(field: ModelField, context: SerializerContext): string[] {
  if (field.reads) return field.reads.flatMap((path) => path.split('.').slice(0, -1).join('.') || []);
  if (field.kind === 'column' || field.embedded) return lazyProperties(field);
  if (field.nested) {
    const inner = context.resolve(field.nested).pathsToLoad(context);
    return [field.name, ...inner.map((path) => `${field.name}.${path}`)];
  }
  // A query finds the key of a row that has the column.
  return field.kind === 'many' || field.isInverse ? [`${field.name}:ref`] : [];
}

/** The lazy properties of a field. Those that are not shown say whether there is an embedded value at all. */
function lazyProperties(field: ModelField): string[] {
  return fieldsWithin(field)
    .filter(({ isLazy }) => isLazy)
    .map(({ property }) => property);
}

/**
 * Checks the declaration of a model serializer before the first row is shown.
 *
 * @throws ConfigurationError for a field that the entity does not have, or a computed field without a method
 */
export function checkModelSerializer(serializer: SerializerClass, unitOfWork: UnitOfWork): void {
  if (!fieldsOfSerializer(serializer, unitOfWork)) return;
  const input = inputOf(serializer);
  if (input === serializer) return;
  const shown = declaredBy(serializer)?.entity;
  if (!shown) return;
  if (!fieldsOfSerializer(input, unitOfWork) || declaredBy(input)?.entity !== shown) {
    throw new ConfigurationError({
      class: serializer.name,
      member: 'input',
      reason: `is ${input.name}, which is not a ModelSerializer of ${shown.name}.`,
      remedy: `Write class ${input.name} extends ModelSerializer(${shown.name}, { … }) {}.`,
    });
  }
}

/** The serializer that defines what this one accepts: its `input`, or itself. */
export function inputOf(serializer: SerializerClass): SerializerClass {
  const { input } = declaredBy(serializer)?.options ?? {};
  return input ? inputOf(input) : serializer;
}

/** The fields of a model serializer; undefined for another serializer. */
export function fieldsOfSerializer(
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
): readonly ModelField[] | undefined {
  const declared = declaredBy(serializer);
  if (!declared) return undefined;
  if (!unitOfWork.knows(declared.entity)) throw unknownEntity(declared.name, 'shows', declared.entity);
  return fieldsOf(declared, unitOfWork.of(declared.entity).em);
}

/** The properties of an entity that its serializer shows, including those of embedded values. */
export function shownProperties(serializer: SerializerClass, unitOfWork: UnitOfWork): readonly string[] {
  return storedFields(serializer, unitOfWork)
    .flatMap(shownWithin)
    .map(({ property }) => property);
}

function shownWithin(field: ModelField): readonly ModelField[] {
  return field.isShown ? [field, ...(field.embedded?.fields ?? []).flatMap(shownWithin)] : [];
}

/** Properties that are not shown, but whose nulls say whether a shown embedded value is there. */
export function tellingProperties(serializer: SerializerClass, unitOfWork: UnitOfWork): readonly string[] {
  const shown = new Set(shownProperties(serializer, unitOfWork));
  return storedFields(serializer, unitOfWork)
    .filter(({ isShown }) => isShown)
    .flatMap(fieldsWithin)
    .map(({ property }) => property)
    .filter((property) => !shown.has(property));
}

function storedFields(serializer: SerializerClass, unitOfWork: UnitOfWork): readonly ModelField[] {
  const fields = fieldsOfSerializer(serializer, unitOfWork) ?? [];
  return fields.filter(({ kind }) => kind !== 'computed');
}

/** Fields by class and database, compiled once: the container makes serializers for each request, and compiling makes entities. */
const compiled = new WeakMap<object, WeakMap<object, readonly ModelField[]>>();

/** A class that `ModelSerializer(Entity, options)` has made, or one that extends it. */
export type DeclaredSerializer = SerializerClass & Pick<typeof BaseModelSerializer, 'entity' | 'options' | 'prototype'>;

/** What a class declares; undefined for a serializer that an application wrote by hand. */
export function declaredBy(serializer: SerializerClass): DeclaredSerializer | undefined {
  return isModelSerializer(serializer) ? serializer : undefined;
}

function isModelSerializer(serializer: SerializerClass): serializer is DeclaredSerializer {
  return serializer.prototype instanceof BaseModelSerializer;
}

function fieldsOf(serializer: DeclaredSerializer, em: EntityManager): readonly ModelField[] {
  const byDatabase = compiled.get(serializer) ?? new WeakMap<object, readonly ModelField[]>();
  compiled.set(serializer, byDatabase);
  const known = byDatabase.get(em.getMetadata());
  if (known) return known;
  const fields = compileFields(serializer, em);
  byDatabase.set(em.getMetadata(), fields);
  return fields;
}

function compileFields(
  { name, prototype, entity, options }: DeclaredSerializer,
  em: EntityManager,
): readonly ModelField[] {
  const fields = modelFields(name, em.getMetadata(entity), options);
  const missing = fields.find(
    (field) => field.kind === 'computed' && typeof Reflect.get(prototype, field.name) !== 'function',
  );
  if (!missing) return fields;
  throw new ConfigurationError({
    class: name,
    member: missing.name,
    reason: 'is listed as a computed field, and the serializer has no method of this name.',
    remedy: `Write ${missing.name}(entity) in ${name}.`,
  });
}
