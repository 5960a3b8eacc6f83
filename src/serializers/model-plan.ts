import type { EntityManager, EntityMetadata, EntityProperty, EventType, Platform } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import type { Reader, Selection } from '../orm/model-queries.js';
import {
  columnSql,
  digest,
  hasColumn,
  inverseOf,
  keyColumns,
  ordered,
  parserOf,
  pivotOf,
  propOf,
  quoter,
  type StoredRow,
  splitRow,
  tableName,
  typesFor,
} from '../orm/row.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { clientOf, type PlainRow, runStatement } from '../orm/statements.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import { isWithin, rightsKey } from './field-rights.js';
import { hasOwnType } from './model-columns.js';
import {
  columnsWithin,
  embeddedJsonBy,
  embeddedObstacle,
  isJsonColumn,
  isOwner,
  knownClasses,
  memberOf,
  membersWithin,
} from './model-embedded.js';
import { type EmbeddedFields, fieldsWithin, type ModelField } from './model-fields.js';
import { type KeyShape, keyOfRows, keyShape } from './model-key.js';
import { BaseModelSerializer, declaredBy, fieldsOfSerializer } from './model-serializer.js';
import { jsonBy, readBy } from './model-values.js';
import type { SerializerClass, SerializerContext } from './serializer.js';

/** A row as clients see it. */
export type Shown = Record<string, unknown>;

/** A row as its serializer shows it, made without an entity; null for a deleted row. */
export class ShownRow {
  /** @param row what was read, including columns that are read but not shown */
  constructor(
    readonly data: Shown | null,
    readonly row: PlainRow,
  ) {}
}

/** How a serializer shows rows that are not entities. */
export interface RowPlan {
  readonly selection: Selection;
  /** The models of the relations in the plan. If the ORM has a default filter for one of them, entities are needed. */
  readonly related: readonly EntityMetadata[];
  /** Shows a row; returns a promise only if a computed field does. */
  show(row: PlainRow, context: SerializerContext): Shown | Promise<Shown>;
  /** Shows a row of the change log, or returns undefined if the row lacks a column. Undefined if the log's columns are not enough. */
  readonly showStored: ((row: StoredRow, context: SerializerContext) => Shown | Promise<Shown> | undefined) | undefined;
  /**
   * Shows a row of the change log whose relations come from other tables: those as the row has them now, everything else from the log's
   * row. Undefined if that is not enough.
   */
  readonly showBoth:
    | ((row: StoredRow, now: PlainRow, context: SerializerContext) => Shown | Promise<Shown> | undefined)
    | undefined;
  /** How each column that is read is shown, by the name of its property. */
  readonly columns: ReadonlyMap<string, (row: PlainRow) => unknown>;
  /** Whether code of the application shows rows, which may throw: a computed field, or a type of its own. */
  readonly runsCode: boolean;
}

/** How rows are shown without entities. */
export interface PlannedRows {
  readonly plan: RowPlan;
  readonly context: SerializerContext;
}

/** Shows rows. It awaits a promise only if a computed field returns one. */
export async function showPlanned({ plan, context }: PlannedRows, rows: readonly PlainRow[]): Promise<ShownRow[]> {
  const shown = rows.map((row) => plan.show(row, context));
  const data = shown.some((each) => each instanceof Promise) ? await Promise.all(shown) : (shown as Shown[]);
  return rows.map((row, index) => new ShownRow(data[index] ?? {}, row));
}

/** Why a serializer needs entities, as the words after "because of": `the computed field RoomSerializer.age, which …`. */
export interface NeedsEntity {
  readonly because: string;
}

export type Planned = RowPlan | NeedsEntity;

export function needsEntity(planned: Planned | Outline): planned is NeedsEntity {
  return 'because' in planned;
}

/** The plans of one serializer in one ORM. They last as long as the process: tables are not asked again. */
class Plans {
  /** Plans by schema and rights. */
  readonly made = new Map<string, Planned>();
  readonly #making = new Map<string, Promise<Planned>>();

  /** Compiles a plan once for all callers that wait for it. */
  async make(name: string, compile: () => Promise<Planned>): Promise<Planned> {
    const making = this.#making.get(name) ?? compile();
    this.#making.set(name, making);
    try {
      const plan = await making;
      this.made.set(name, plan);
      return plan;
    } finally {
      this.#making.delete(name);
    }
  }
}

const plansByOrm = new WeakMap<object, WeakMap<SerializerClass, Plans>>();
let selections = 0;

/**
 * The plan of a serializer, made once for each combination of rights that it knows: which columns are read, and how each becomes JSON. If
 * the serializer needs entities, the plan says why. The first caller also reads the types of columns from the database. Inside a
 * transaction it uses that connection, and does not wait for other callers, which may be waiting for the same connection.
 */
export function planRows(
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
  rights: GivenRights | undefined,
  reader = unitOfWork.reader,
): Planned | Promise<Planned> {
  const plans = plansOf(serializer, reader);
  const name = `${reader.schema ?? ''} ${rights ? rightsKey(serializer, rights) : ''}`;
  const known = plans.made.get(name);
  if (known) return known;
  const make = (): Promise<Planned> => compile(serializer, unitOfWork, reader, rights);
  return reader.transaction ? madeApart(plans, name, make()) : plans.make(name, make);
}

function plansOf(serializer: SerializerClass, { em }: Reader): Plans {
  const metadata = em.getMetadata();
  const bySerializer = plansByOrm.get(metadata) ?? new WeakMap<SerializerClass, Plans>();
  plansByOrm.set(metadata, bySerializer);
  const plans = bySerializer.get(serializer) ?? new Plans();
  bySerializer.set(serializer, plans);
  return plans;
}

async function madeApart(plans: Plans, name: string, making: Promise<Planned>): Promise<Planned> {
  const plan = await making;
  plans.made.set(name, plan);
  return plan;
}

/** Thrown while a plan is made, if the serializer needs entities. */
class EntityNeeded extends Error {}

/** The part of a serializer's plan that the entities alone determine: everything except how the texts of nested rows are read. */
export interface Outline {
  readonly level: Level;
  readonly related: readonly EntityMetadata[];
  readonly texts: readonly TextRows[];
  readonly runsCode: boolean;
}

/** Makes the outline of a plan, without the database. */
export function outlineRows(
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
  { em, schema }: Pick<Reader, 'em' | 'schema'>,
  rights: GivenRights | undefined,
): Outline | NeedsEntity {
  const platform = em.getDriver().getPlatform();
  const context: Compiling = {
    unitOfWork,
    em,
    schema,
    platform,
    rights,
    related: new Set(),
    texts: [],
    tables: 0,
    runsCode: false,
  };
  try {
    const level = compileLevel(serializer, 't', context, []);
    return { level, related: [...context.related], texts: context.texts, runsCode: context.runsCode };
  } catch (error) {
    if (error instanceof EntityNeeded) return { because: error.message };
    throw error;
  }
}

async function compile(
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
  reader: Reader,
  rights: GivenRights | undefined,
): Promise<Planned> {
  const outline = outlineRows(serializer, unitOfWork, reader, rights);
  if (needsEntity(outline)) return outline;
  await typeTexts(outline.texts, reader);
  const { meta, fields, show, showStored, showBoth } = outline.level;
  const keys = keyColumns(meta);
  const columns = [...keys.map((key) => `t.${quoter(reader.em)(key)}`), ...columnsIn(fields).map(({ sql }) => sql)];
  selections += 1;
  return {
    selection: { id: `plan ${selections}`, meta, columns, keyLength: keys.length },
    related: outline.related,
    runsCode: outline.runsCode,
    show: (row, serializing) => show(row, keys.length, serializing),
    showStored,
    showBoth: showBoth && ((row, now, serializing) => showBoth(row, now, keys.length, serializing)),
    columns: readableColumns(fields, keys.length),
  };
}

interface Compiling {
  readonly unitOfWork: UnitOfWork;
  readonly em: EntityManager;
  readonly schema: string | undefined;
  readonly platform: Platform;
  readonly rights: GivenRights | undefined;
  readonly related: Set<EntityMetadata>;
  readonly texts: TextRows[];
  /** The number of tables beside the first one, for their aliases. */
  tables: number;
  /** Whether code of the application shows a row. */
  runsCode: boolean;
}

/** Rows of another table that are read as text. The types of its columns, from the database, say what the text means. */
interface TextRows {
  readonly columns: readonly PlannedColumn[];
  readonly from: string;
  /** The parsers of the columns, once their types are known. */
  readonly parsers: ((text: string) => unknown)[];
}

interface PlannedColumn {
  readonly sql: string;
  /** Whether it is the text of rows of other tables. */
  readonly isText: boolean;
}

/** A part of a plan: adjacent columns of the row, and a value that is made of them. */
interface Part {
  readonly columns: readonly PlannedColumn[];
  /**
   * Makes the value of a row.
   *
   * @param at the index of its first column in the row
   */
  readonly read: (row: PlainRow, at: number, context: SerializerContext) => unknown;
  /** Makes the value of a row of the change log, or returns undefined if that lacks a column; undefined if the log never has it. */
  readonly readStored: ((row: StoredRow, context: SerializerContext) => unknown) | undefined;
}

/** A part that is one column of the table: the context does not change what it shows. */
interface Column extends Part {
  readonly read: (row: PlainRow, at: number) => unknown;
}

interface PlannedField extends Part {
  readonly name: string;
  /** Whether other tables have the value, which is found by the row's key. */
  readonly isElsewhere?: boolean;
  /** The column, if the field is a column of the entity's own table. */
  readonly column?: Column;
}

/** One serializer's part of a plan: the rows of the list, or rows nested in others. */
export interface Level {
  readonly meta: EntityMetadata;
  readonly fields: readonly PlannedField[];
  readonly show: (row: PlainRow, at: number, context: SerializerContext) => Shown | Promise<Shown>;
  readonly showStored: RowPlan['showStored'];
  readonly showBoth:
    | ((
        row: StoredRow,
        now: PlainRow,
        from: number,
        context: SerializerContext,
      ) => ReturnType<Level['show']> | undefined)
    | undefined;
}

function columnsIn(parts: readonly Part[]): readonly PlannedColumn[] {
  return parts.flatMap(({ columns }) => columns);
}

function readableColumns(fields: readonly PlannedField[], from: number): RowPlan['columns'] {
  const columns = new Map<string, (row: PlainRow) => unknown>();
  let at = from;
  for (const { name, column: own, columns: parts } of fields) {
    const place = at;
    if (own) columns.set(name, (row) => own.read(row, place));
    at += parts.length;
  }
  return columns;
}

function compileLevel(
  serializer: SerializerClass,
  alias: string,
  context: Compiling,
  around: readonly SerializerClass[],
): Level {
  if (around.includes(serializer)) throw new EntityNeeded(`${serializer.name}, which is nested in itself`);
  const { entity, shown } = plainFields(serializer, context);
  const meta: EntityMetadata = context.em.getMetadata(entity);
  checkPlain(meta, context);
  const fields = shown.map((field) => planField(field, serializer, meta, alias, context, around));
  return { meta, fields, show: shownBy(fields), showStored: storedBy(fields), showBoth: shownByBoth(fields) };
}

function shownBy(fields: readonly PlannedField[]): Level['show'] {
  const placed = placedFields(fields);
  return (row, from, serializing) => {
    const data: Shown = {};
    let isPending = false;
    for (const { name, read, place } of placed) {
      const value = read(row, from + place, serializing);
      data[name] = value;
      isPending ||= value instanceof Promise;
    }
    return isPending ? settled(data) : data;
  };
}

/** The fields, each with the index of its first column. */
function placedFields(fields: readonly PlannedField[]): readonly (PlannedField & { readonly place: number })[] {
  let width = 0;
  return fields.map((field) => {
    const place = width;
    width += field.columns.length;
    return { ...field, place };
  });
}

function shownByBoth(fields: readonly PlannedField[]): Level['showBoth'] {
  const placed = placedFields(fields);
  if (!placed.some(({ isElsewhere }) => isElsewhere)) return undefined;
  if (!placed.every(({ isElsewhere, readStored }) => isElsewhere || readStored)) return undefined;
  return (row, now, from, serializing) => {
    const data: Shown = {};
    for (const { name, isElsewhere, read, readStored, place } of placed) {
      const stored = readStored?.(row, serializing);
      const value = stored === undefined && isElsewhere ? read(now, from + place, serializing) : stored;
      if (value === undefined) return undefined;
      data[name] = value;
    }
    return settled(data);
  };
}

function storedBy(fields: readonly PlannedField[]): Level['showStored'] {
  const reads = fields.flatMap(({ name, readStored }) => (readStored ? [{ name, readStored }] : []));
  if (reads.length < fields.length) return undefined;
  return (row, serializing) => {
    const data: Shown = {};
    for (const { name, readStored } of reads) {
      const value = readStored(row, serializing);
      if (value === undefined) return undefined;
      data[name] = value;
    }
    return Object.values(data).some((value) => value instanceof Promise) ? settled(data) : data;
  };
}

async function settled(data: Shown): Promise<Shown> {
  for (const [name, value] of Object.entries(data)) data[name] = await value;
  return data;
}

interface PlainFields {
  readonly entity: ConcreteClass<object>;
  readonly shown: readonly ModelField[];
}

/** @throws EntityNeeded if the serializer does more than show its fields */
function plainFields(serializer: SerializerClass, { unitOfWork, rights }: Compiling): PlainFields {
  const declared = declaredBy(serializer);
  if (!declared) throw new EntityNeeded(`${serializer.name}, which is not a ModelSerializer`);
  const { prototype, name, entity, options } = declared;
  for (const member of ['toData', 'pathsToLoad'] as const)
    if (prototype[member] !== BaseModelSerializer.prototype[member])
      throw new EntityNeeded(`${name}, which has a ${member} of its own`);
  const fields = fieldsOfSerializer(serializer, unitOfWork) ?? [];
  return { entity, shown: fields.filter((field) => field.isShown && isWithin(options, field.name, rights)) };
}

/** @throws EntityNeeded if code of the model's class affects what is read */
function checkPlain(meta: EntityMetadata, { em }: Compiling): void {
  const { className, hooks } = meta;
  if (meta.virtual || meta.expression) throw new EntityNeeded(`${className}, which has no table`);
  if (meta.inheritanceType === 'tpt' || meta.tptParent)
    throw new EntityNeeded(`${className}, which has several tables`);
  if (meta.forceConstructor) throw new EntityNeeded(`${className}, whose rows are made by its constructor`);
  if (hooks.onLoad || hooks.onInit) throw new EntityNeeded(`${className}, which has a hook for rows that are loaded`);
  const events = em.getEventManager();
  if (events.hasListeners('onLoad' as EventType, meta) || events.hasListeners('onInit' as EventType, meta))
    throw new EntityNeeded(`${className}, whose loaded rows an event subscriber receives`);
}

function planField(
  field: ModelField,
  serializer: SerializerClass,
  meta: EntityMetadata,
  alias: string,
  context: Compiling,
  around: readonly SerializerClass[],
): PlannedField {
  const { name } = field;
  if (field.kind === 'computed') return computedField(field, serializer, meta, alias, context);
  const prop = propOf(meta, name);
  if (field.kind === 'column') return columnField(column(context, meta, prop, alias, 'shown'), name);
  if (field.embedded) {
    const obstacle = embeddedObstacle(`${meta.className}.${name}`, prop, field.embedded, context.em);
    if (obstacle !== undefined) throw new EntityNeeded(obstacle);
    for (const { target } of fieldsWithin(field)) if (target) context.related.add(target);
    return { ...embeddedPart(context, meta, prop, field.embedded, alias), name };
  }
  checkRelation(meta, prop);
  const { nested } = field;
  if (!nested && isOwner(prop)) {
    const target = prop.targetMeta as EntityMetadata;
    context.related.add(target);
    if (prop.fieldNames.length === 1) return columnField(column(context, meta, prop, alias, 'shown'), name);
    return { ...keyPart(context, target, relationKey(context, prop), alias), name };
  }
  const isElsewhere = !isOwner(prop);
  if (!nested) return { ...relatedKeys(context, meta, prop, alias), name, isElsewhere };
  const rows = relatedRows(context, meta, prop, alias, (inner) => {
    const level = compileLevel(nested, inner, context, [...around, serializer]);
    return { columns: columnsIn(level.fields), read: level.show, readStored: undefined };
  });
  return { ...rows, name, isElsewhere };
}

function columnField(own: Column, name: string): PlannedField {
  return { ...own, name, column: own };
}

// Computed fields

/** A method of the serializer, called with what it reads of the row. Without a declaration of what it reads, it needs an entity. */
function computedField(
  { name, reads }: ModelField,
  serializer: SerializerClass,
  meta: EntityMetadata,
  alias: string,
  context: Compiling,
): PlannedField {
  if (!reads)
    throw new EntityNeeded(`the computed field ${serializer.name}.${name}, which does not declare what it reads`);
  context.runsCode = true;
  const { columns, read, readStored } = readsPart(treeOf(reads), meta, alias, context);
  const call = (source: unknown, serializing: SerializerContext): unknown => {
    const instance = serializing.resolve(serializer);
    const method: (source: unknown, context: SerializerContext) => unknown = Reflect.get(instance, name);
    return method.call(instance, source, serializing);
  };
  return {
    name,
    columns,
    read: (row, at, serializing) => call(read(row, at, serializing), serializing),
    readStored:
      readStored &&
      ((row, serializing) => {
        const source = readStored(row, serializing);
        return source === undefined ? undefined : (call(source, serializing) ?? null);
      }),
  };
}

/** The columns that are read of a row and of its relations. */
type ReadTree = ReadonlyMap<string, ReadTree>;

/** The tree of the paths `['text', 'room.name']`. */
function treeOf(paths: readonly string[]): ReadTree {
  const tree = new Map<string, Map<string, never>>();
  for (const path of paths) {
    let level = tree as Map<string, Map<string, never>>;
    for (const name of path.split('.')) {
      const next = level.get(name) ?? new Map<string, never>();
      level.set(name, next);
      level = next as never;
    }
  }
  return tree;
}

/** An object with what is read, in the entity's form. */
function readsPart(tree: ReadTree, meta: EntityMetadata, alias: string, context: Compiling): Part {
  const parts: (Part & { readonly name: string })[] = [];
  for (const [name, inner] of tree) {
    const prop = propOf(meta, name);
    if (prop.kind === 'scalar') parts.push({ ...column(context, meta, prop, alias, 'read'), name });
    else {
      checkRelation(meta, prop);
      const target = prop.targetMeta as EntityMetadata;
      const rows = relatedRows(context, meta, prop, alias, (next) => readsPart(inner, target, next, context));
      parts.push({ ...rows, name });
    }
  }
  return objectOf(parts);
}

/** One object with the values of several parts, by their names. */
function objectOf(parts: readonly (Part & { readonly name: string })[]): Part {
  const stored = parts.flatMap(({ name, readStored }) => (readStored ? [{ name, readStored }] : []));
  return {
    columns: columnsIn(parts),
    read: (row, from, serializing) => {
      const source: Record<string, unknown> = {};
      let at = from;
      for (const { name, read, columns } of parts) {
        source[name] = read(row, at, serializing);
        at += columns.length;
      }
      return source;
    },
    readStored:
      stored.length < parts.length
        ? undefined
        : (row, serializing) => {
            const entries = stored.map(({ name, readStored }) => [name, readStored(row, serializing)] as const);
            return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
          },
  };
}

// Columns

/** @param as whether its value becomes JSON, or what an entity would hold */
function column(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  alias: string,
  as: 'shown' | 'read',
): Column {
  if (!isOwner(prop) && !isSimpleColumn(prop))
    throw new EntityNeeded(`${meta.className}.${prop.name}, which is not a plain column`);
  const { em, platform } = context;
  const name = prop.fieldNames[0] ?? '';
  const typed = prop.targetMeta ? keyLeaf(prop) : prop;
  if (hasOwnType(typed)) context.runsCode = true;
  const convert = as === 'shown' ? jsonBy(typed, platform) : readBy(typed, platform);
  return {
    columns: [{ sql: columnSql(em, meta, prop, alias, quoter(em)(name)), isText: false }],
    read: convert ? (row, at) => (row[at] === null ? null : convert(row[at])) : asRead,
    readStored: ({ columns }) => {
      const value = columns[name];
      return value === null || value === undefined || !convert ? value : convert(value);
    },
  };
}

/** The function for all columns that need no conversion. */
function asRead(row: PlainRow, at: number): unknown {
  return row[at];
}

/** Whether the entity's property has the column's value unchanged. */
function isSimpleColumn(prop: EntityProperty): boolean {
  const isRead = prop.kind === 'scalar' && hasColumn(prop) && prop.fieldNames.length === 1;
  return isRead && !prop.getter && !prop.setter && !prop.accessor;
}

// Embedded values

function embeddedPart(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  fields: EmbeddedFields,
  alias: string,
): Part {
  if (!isJsonColumn(prop)) return inlinePart(context, meta, prop, fields, alias);
  if (membersWithin(prop).some((member) => hasOwnType(keyLeaf(member)))) context.runsCode = true;
  const [name = ''] = prop.fieldNames;
  const show = embeddedJsonBy(prop, fields, context.em);
  return {
    columns: [{ sql: columnSql(context.em, meta, prop, alias, quoter(context.em)(name)), isText: false }],
    read: (row, at) => (row[at] === null ? null : show(row[at])),
    readStored: ({ columns: { [name]: value } }) => (value === null || value === undefined ? value : show(value)),
  };
}

/**
 * An embedded value with columns of its own. If it may be missing, it is null when all of its columns are, including those that are not
 * shown.
 */
function inlinePart(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  { fields }: EmbeddedFields,
  alias: string,
): Part {
  const members = fields
    .filter(({ isShown }) => isShown)
    .map((field) => ({ ...memberPart(context, meta, memberOf(prop, field), field, alias), name: field.name }));
  const value = ofKnownClass(prop, objectOf(members));
  if (!prop.nullable) return value;
  const quote = quoter(context.em);
  const unshown = fields
    .filter(({ isShown }) => !isShown)
    .flatMap((field) => columnsWithin(memberOf(prop, field)))
    .filter(hasColumn)
    .map((inner) => columnSql(context.em, meta, inner, alias, quote(inner.fieldNames[0] ?? '')));
  const columns = [
    ...value.columns,
    ...unshown.map((sql) => ({ sql: `nullif(${sql} is not null, false)`, isText: false })),
  ];
  const names = columnsWithin(prop)
    .filter(hasColumn)
    .flatMap(({ fieldNames }) => fieldNames);
  return {
    columns,
    read: (row, at, serializing) => (isAnySet(row, at, columns.length) ? value.read(row, at, serializing) : null),
    readStored: (row, serializing) => {
      const found = names.map((name) => row.columns[name in row.columns ? name : `${digest}${name}`]);
      if (found.some((each) => each !== null && each !== undefined)) return value.readStored?.(row, serializing);
      return found.includes(undefined) ? undefined : null;
    },
  };
}

function memberPart(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  { embedded }: ModelField,
  alias: string,
): Part {
  if (embedded) return embeddedPart(context, meta, prop, embedded, alias);
  if (!prop.targetMeta || prop.fieldNames.length === 1) return column(context, meta, prop, alias, 'shown');
  return keyPart(context, prop.targetMeta, relationKey(context, prop), alias);
}

/** A value of one of several classes; null if its columns name none of them. */
function ofKnownClass(prop: EntityProperty, { columns, read, readStored }: Part): Part {
  const isKnown = knownClasses(prop);
  if (!isKnown) return { columns, read, readStored };
  return {
    columns,
    read: (row, at, serializing) => {
      const value = read(row, at, serializing);
      return isKnown(value) ? value : null;
    },
    readStored:
      readStored &&
      ((row, serializing) => {
        const value = readStored(row, serializing);
        return value === undefined || isKnown(value) ? value : null;
      }),
  };
}

function isAnySet(row: PlainRow, from: number, count: number): boolean {
  for (let at = from; at < from + count; at += 1) if (row[at] !== null) return true;
  return false;
}

// Relations

/** @throws EntityNeeded for a relation that is more than rows with a key */
function checkRelation({ className }: EntityMetadata, prop: EntityProperty): void {
  const where = `${className}.${prop.name}`;
  if (!prop.targetMeta || prop.polymorphic || prop.mapToPk || prop.targetKey || prop.formula)
    throw new EntityNeeded(`the relation ${where}`);
  if (prop.orderBy || prop.where || prop.fixedOrder) throw new EntityNeeded(`the order or condition of ${where}`);
}

/** The property of a key's one column, also if relations that are keys themselves lead to it. */
function keyLeaf(prop: EntityProperty): EntityProperty {
  const [key] = prop.targetMeta?.getPrimaryProps() ?? [];
  return key ? keyLeaf(key) : prop;
}

/** @throws EntityNeeded for a key whose columns do not determine the entity's value */
function plainKey(context: Compiling, key: KeyShape, target: EntityMetadata): KeyShape {
  const odd = key.columns.find(({ prop }) => !isSimpleColumn(prop) || prop.hasConvertToJSValueSQL);
  if (odd) throw new EntityNeeded(`the key of ${target.className}, whose ${odd.prop.name} is not a plain column`);
  if (key.columns.some(({ prop }) => hasOwnType(prop))) context.runsCode = true;
  return key;
}

/** The key that a relation holds in columns of its own table. */
function relationKey(context: Compiling, prop: EntityProperty): KeyShape {
  return plainKey(context, keyShape(prop, context.platform), prop.targetMeta as EntityMetadata);
}

function keyPart({ em }: Compiling, target: EntityMetadata, { columns, show }: KeyShape, alias: string): Part {
  const quote = quoter(em);
  const names = columns.map(({ name }) => name);
  return {
    columns: columns.map(({ name, prop }) => ({ sql: columnSql(em, target, prop, alias, quote(name)), isText: false })),
    read: (row, at) => show((index) => row[at + index]),
    readStored: ({ columns: stored }) =>
      names.some((name) => stored[name] === undefined) ? undefined : show((index) => stored[names[index] ?? '']),
  };
}

/** The keys of rows of another table. The log has those of a many-to-many relation. */
function relatedKeys(context: Compiling, meta: EntityMetadata, prop: EntityProperty, alias: string): Part {
  const target = prop.targetMeta as EntityMetadata;
  const [key, ...others] = target.getPrimaryProps();
  const shape = keyOfRows(target, context.platform);
  const isPlain = key && others.length === 0 && key.fieldNames.length === 1;
  const rows = relatedRows(context, meta, prop, alias, (inner) =>
    isPlain
      ? column(context, target, key, inner, 'shown')
      : keyPart(context, target, plainKey(context, shape, target), inner),
  );
  if (prop.kind !== 'm:n') return rows;
  const shown = (values: unknown): unknown =>
    shape.show((index) => (shape.columns.length === 1 ? values : (values as readonly unknown[])[index]));
  return { ...rows, readStored: ({ members }) => members?.[prop.name]?.map(shown) };
}

/**
 * Rows of another table in one column, in the change log's text of rows.
 *
 * @param inner makes the part that is read of each row, for the alias of its table
 */
function relatedRows(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  alias: string,
  inner: (alias: string) => Part,
): Part {
  const { em } = context;
  const target = prop.targetMeta as EntityMetadata;
  context.related.add(target);
  context.tables += 1;
  const table = `t${context.tables}`;
  const { from, where } = joinTo(context, meta, prop, alias, table);
  const { columns, read } = inner(table);
  const parsers: TextRows['parsers'] = [];
  context.texts.push({ columns, from, parsers });
  const readRow = (text: unknown, serializing: SerializerContext): unknown => {
    const values = splitRow(String(text)).map((value, index) => (value === null ? null : parsers[index]?.(value)));
    return read(values, 0, serializing);
  };
  const row = `row(${columns.map(({ sql }) => sql).join(', ')})::text`;
  if (prop.kind !== 'm:n' && prop.kind !== '1:m') {
    return {
      columns: [{ sql: `(select ${row} from ${from} where ${where})`, isText: true }],
      read: (values, at, serializing) => (values[at] === null ? null : readRow(values[at], serializing)),
      readStored: undefined,
    };
  }
  const order = keyOrder(em, target, table);
  const sql = `(select coalesce(json_agg(${row} order by ${order}), '[]')::text from ${from} where ${where})`;
  return {
    columns: [{ sql, isText: true }],
    read: (values, at, serializing) => {
      const texts = JSON.parse(String(values[at])) as readonly string[];
      const rows = texts.map((text) => readRow(text, serializing));
      return rows.some((each) => each instanceof Promise) ? Promise.all(rows) : rows;
    },
    readStored: undefined,
  };
}

/** Joins the table of a relation's target to the row that holds the relation. */
function joinTo({ em, schema }: Compiling, meta: EntityMetadata, prop: EntityProperty, alias: string, table: string) {
  const quote = quoter(em);
  const target = prop.targetMeta as EntityMetadata;
  const [own, keys] = [keyColumns(meta), keyColumns(target)];
  const equal = (one: string, left: readonly string[], other: string, right: readonly string[]): string =>
    left.map((name, index) => `${one}.${quote(name)} = ${other}.${quote(right[index] ?? '')}`).join(' and ');
  const from = `${tableName(em, target, target.schema === '*' ? schema : undefined)} ${table}`;
  if (prop.kind === 'm:n') {
    const pivot = pivotOf(em, prop, schema);
    const link = `${table}p`;
    return {
      from: `${pivot.table} ${link} join ${from} on ${equal(table, keys, link, pivot.columns)}`,
      where: equal(link, pivot.own, alias, own),
    };
  }
  if (isOwner(prop)) return { from, where: equal(table, keys, alias, prop.fieldNames) };
  return { from, where: equal(table, inverseOf(prop).fieldNames, alias, own) };
}

function keyOrder(em: EntityManager, target: EntityMetadata, table: string): string {
  const quote = quoter(em);
  return target
    .getPrimaryProps()
    .flatMap(({ fieldNames, columnTypes }) =>
      fieldNames.map((name, index) => ordered(`${table}.${quote(name)}`, columnTypes[index] ?? '')),
    )
    .join(', ');
}

/** Finds the driver's parsers for columns of rows that are read as text. Rows nested in them are texts again. */
async function typeTexts(texts: readonly TextRows[], { em, transaction }: Reader): Promise<void> {
  // This call also makes the driver's client, through which every plan is read.
  const parserOfType = await parserOf(em);
  const connection = (transaction as StatementConnection | undefined) ?? clientOf(em);
  const run = async <Row>(text: string, parameters: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      return await runStatement<Row>(connection, { text }, parameters);
    } catch (error) {
      throw em.getDriver().convertException(error as Error);
    }
  };
  for (const { columns, from, parsers } of texts) {
    const typed = columns.filter(({ isText }) => !isText);
    const [oids] = typed.length > 0 ? await typesFor(run, from, typed) : [[]];
    const known = new Map(typed.map((each, index) => [each, parserOfType(oids[index] ?? textType)]));
    parsers.push(...columns.map((each) => known.get(each) ?? ((text: string) => text)));
  }
}

/** The OID of `text`. */
const textType = 25;
