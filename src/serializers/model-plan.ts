import type { EntityManager, EntityMetadata, EntityProperty, EventType, Platform } from '@mikro-orm/core';
import type { PlainRow, Selection } from '../orm/model-queries.js';
import {
  columnSql,
  hasColumn,
  inverseOf,
  ordered,
  type ParserOf,
  parserOf,
  pivotOf,
  quoter,
  type StoredRow,
  splitRow,
  tableName,
  typesFor,
} from '../orm/row.js';
import { clientOf } from '../orm/row-reader.js';
import { runStatement } from '../orm/statements.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/rights.js';
import { isWithin, rightsKey } from './field-rights.js';
import type { ModelField } from './model-fields.js';
import { BaseModelSerializer, fieldsOfSerializer } from './model-serializer.js';
import { shownBy } from './model-values.js';
import type { SerializerClass } from './serializer.js';

type Shown = Record<string, unknown>;
type ShowStored = (row: StoredRow) => Shown | undefined;

/** A row as its serializer shows it, made without an entity. */
export class ShownRow {
  /** @param row what was read, for the columns that are read beside those that are shown */
  constructor(
    readonly data: Shown,
    readonly row: PlainRow,
  ) {}
}

/** How a serializer shows rows that are no entities. */
export interface RowPlan {
  readonly selection: Selection;
  /** The models of the relations in it. A default filter of the ORM on one of them asks for entities. */
  readonly related: readonly EntityMetadata[];
  show(row: PlainRow): Shown;
  /** The same of a row of the change log. Undefined where it takes more than the log has; gives undefined for a row that lacks a column. */
  readonly showStored: ShowStored | undefined;
  /** What the columns of the entity that are read are shown as, by the names of their properties. */
  readonly columns: ReadonlyMap<string, (row: PlainRow) => unknown>;
}

/** Why a serializer needs entities: `the computed field "age"`. */
export interface NeedsEntity {
  readonly because: string;
}

export type PlannedRows = RowPlan | NeedsEntity;

export function needsEntity(planned: PlannedRows): planned is NeedsEntity {
  return 'because' in planned;
}

/** Plans of one ORM, by serializer and rights. They hold for as long as the process: tables are not asked again. */
const plans = new WeakMap<object, Map<string, Promise<PlannedRows>>>();
const idsOfClasses = new WeakMap<object, number>();
let classes = 0;

/**
 * The plan of a serializer, made once for each of the rights that it knows: which columns are read, and how each becomes JSON. One that
 * needs entities says why.
 */
export function planRows(
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
  rights: GivenRights | undefined,
): Promise<PlannedRows> {
  const { em, schema } = unitOfWork.reader;
  const byName = plans.get(em.getMetadata()) ?? new Map<string, Promise<PlannedRows>>();
  plans.set(em.getMetadata(), byName);
  const name = `${schema ?? ''} ${idOf(serializer)} ${rightsKey(serializer, rights)}`;
  const known = byName.get(name);
  if (known) return known;
  const planned = compile(name, serializer, unitOfWork, rights);
  byName.set(name, planned);
  // A database that was away is asked again.
  planned.catch(() => byName.delete(name));
  return planned;
}

function idOf(serializer: SerializerClass): number {
  const known = idsOfClasses.get(serializer) ?? ++classes;
  idsOfClasses.set(serializer, known);
  return known;
}

/** What stands on the way of a plan is thrown while it is made. */
class EntityNeeded extends Error {}

async function compile(
  id: string,
  serializer: SerializerClass,
  unitOfWork: UnitOfWork,
  rights: GivenRights | undefined,
): Promise<PlannedRows> {
  const em = unitOfWork.em.getContext(false);
  const platform = em.getDriver().getPlatform();
  const context: Compiling = {
    unitOfWork,
    em,
    platform,
    parserOf: await parserOf(em),
    rights,
    related: new Set(),
    tables: 0,
  };
  try {
    const { meta, fields, show, showStored } = await compileLevel(serializer, 't', context, []);
    const keys = meta.getPrimaryProps().flatMap((prop) => prop.fieldNames);
    const quote = quoter(em);
    const columns = new Map<string, (row: PlainRow) => unknown>();
    fields.forEach((field, index) => {
      if (field.isColumn) columns.set(field.name, (row) => shownValue(field, row[keys.length + index]));
    });
    return {
      selection: {
        id,
        meta,
        columns: [...keys.map((key) => `t.${quote(key)}`), ...fields.map(({ sql }) => sql)],
        keyLength: keys.length,
      },
      related: [...context.related],
      show: (row) => show(row, keys.length),
      showStored,
      columns,
    };
  } catch (error) {
    if (error instanceof EntityNeeded) return { because: error.message };
    throw error;
  }
}

interface Compiling {
  readonly unitOfWork: UnitOfWork;
  readonly em: EntityManager;
  readonly platform: Platform;
  readonly parserOf: ParserOf;
  readonly rights: GivenRights | undefined;
  readonly related: Set<EntityMetadata>;
  /** How many tables beside the first one there are, for their aliases. */
  tables: number;
}

/** A serializer's part of a plan: the rows of the list, or rows that are nested in others. */
interface Level {
  readonly meta: EntityMetadata;
  readonly fields: readonly PlannedField[];
  /** @param from where its columns begin in the row */
  readonly show: (row: PlainRow, from: number) => Shown;
  readonly showStored: ShowStored | undefined;
}

/** One shown field: the SQL of its column, and what is made of its value. */
interface PlannedField {
  readonly name: string;
  readonly sql: string;
  /** What the driver's value of the column, which is not null, is shown as. */
  readonly show: (value: unknown) => unknown;
  /** What the field of a row of the change log is shown as, undefined where the row lacks it; undefined where the log never has it. */
  readonly stored: ((row: StoredRow) => unknown) | undefined;
  /** Whether it is a column of the entity's own table, and not the text of other rows. */
  readonly isColumn: boolean;
}

function shownValue({ show }: PlannedField, value: unknown): unknown {
  return value === null ? null : show(value);
}

async function compileLevel(
  serializer: SerializerClass,
  alias: string,
  context: Compiling,
  around: readonly SerializerClass[],
): Promise<Level> {
  if (around.includes(serializer)) throw new EntityNeeded(`${serializer.name}, which is nested in itself`);
  const shown = plainFields(serializer, context);
  const { entity } = serializer as unknown as { readonly entity: never };
  const meta = context.em.getMetadata(entity) as EntityMetadata;
  checkPlain(meta, context);
  const fields: PlannedField[] = [];
  for (const field of shown) fields.push(await planField(field, meta, alias, context, [...around, serializer]));
  const show = (row: PlainRow, from: number): Shown => {
    const data: Shown = {};
    let at = from;
    for (const field of fields) data[field.name] = shownValue(field, row[at++]);
    return data;
  };
  return { meta, fields, show, showStored: storedBy(fields) };
}

function storedBy(fields: readonly PlannedField[]): ShowStored | undefined {
  const reads = fields.flatMap(({ name, stored }) => (stored ? [{ name, stored }] : []));
  if (reads.length < fields.length) return undefined;
  return (row) => {
    const data: Shown = {};
    for (const { name, stored } of reads) {
      const value = stored(row);
      if (value === undefined) return undefined;
      data[name] = value;
    }
    return data;
  };
}

/** @throws EntityNeeded where the serializer is more than its fields */
function plainFields(serializer: SerializerClass, { unitOfWork, rights }: Compiling): readonly ModelField[] {
  const { prototype, name } = serializer;
  if (!(prototype instanceof BaseModelSerializer)) throw new EntityNeeded(`${name} is no ModelSerializer`);
  for (const member of ['toData', 'pathsToLoad'] as const)
    if (prototype[member] !== BaseModelSerializer.prototype[member])
      throw new EntityNeeded(`${name} has a ${member} of its own`);
  const { options } = serializer as unknown as typeof BaseModelSerializer;
  const fields = (fieldsOfSerializer(serializer, unitOfWork) ?? []).filter(
    (field) => field.isShown && isWithin(options, field.name, rights),
  );
  const computed = fields.find(({ kind }) => kind === 'computed');
  if (computed) throw new EntityNeeded(`the computed field ${name}.${computed.name}`);
  return fields;
}

/** @throws EntityNeeded where the class of the model has a say in what is read */
function checkPlain(meta: EntityMetadata, { em }: Compiling): void {
  const { className, hooks } = meta;
  if (meta.virtual || meta.expression) throw new EntityNeeded(`${className}, which has no table`);
  if (meta.inheritanceType === 'tpt' || meta.tptParent)
    throw new EntityNeeded(`${className}, which has several tables`);
  if (hooks.onLoad || hooks.onInit) throw new EntityNeeded(`${className}, which has a hook for rows that are loaded`);
  const events = em.getEventManager();
  if (events.hasListeners('onLoad' as EventType, meta) || events.hasListeners('onInit' as EventType, meta))
    throw new EntityNeeded(`${className}, whose rows a subscriber hears of when they are loaded`);
}

async function planField(
  field: ModelField,
  meta: EntityMetadata,
  alias: string,
  context: Compiling,
  around: readonly SerializerClass[],
): Promise<PlannedField> {
  const prop = meta.properties[field.name as never] as EntityProperty;
  const where = `${meta.className}.${prop.name}`;
  if (prop.kind === 'scalar') {
    if (!isSimpleColumn(prop)) throw new EntityNeeded(`${where}, which is no column`);
    return columnField(context, meta, prop, alias);
  }
  if (prop.kind === 'embedded') throw new EntityNeeded(`the embedded ${where}`);
  const { targetMeta } = prop;
  if (!targetMeta || prop.polymorphic || prop.mapToPk || prop.targetKey || prop.formula)
    throw new EntityNeeded(`the relation ${where}`);
  if (prop.orderBy || prop.where || prop.fixedOrder) throw new EntityNeeded(`the order or condition of ${where}`);
  context.related.add(targetMeta);
  const isOwner = prop.kind === 'm:1' || (prop.kind === '1:1' && prop.owner);
  if (isOwner && !field.nested) {
    if (prop.fieldNames.length > 1) throw new EntityNeeded(`the key of several columns of ${where}`);
    return columnField(context, meta, prop, alias);
  }
  return relatedRows(field, meta, prop, alias, context, around);
}

/** The property that the key of a relation's target is, through relations that are keys themselves. */
function keyOf(meta: EntityMetadata, prop: EntityProperty): EntityProperty {
  let key: EntityProperty | undefined = prop;
  while (key?.targetMeta) {
    const props: readonly EntityProperty[] = key.targetMeta.getPrimaryProps();
    key = props.length === 1 ? props[0] : undefined;
  }
  if (!key) throw new EntityNeeded(`the key of several columns of ${meta.className}.${prop.name}`);
  return key;
}

/** Rows of another table, by key or nested: as the text that the change log has of rows, in one column. */
async function relatedRows(
  field: ModelField,
  meta: EntityMetadata,
  prop: EntityProperty,
  alias: string,
  context: Compiling,
  around: readonly SerializerClass[],
): Promise<PlannedField> {
  const { em } = context;
  const quote = quoter(em);
  const target = prop.targetMeta as EntityMetadata;
  const schema = target.schema === '*' ? em.schema : undefined;
  const inner = `t${++context.tables}`;
  const own = meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames);
  const keys = target.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames);
  const on = (left: readonly string[], right: readonly string[], of: string): string =>
    left.map((column, index) => `${of}.${quote(column)} = ${alias}.${quote(right[index] ?? '')}`).join(' and ');
  let from = `${tableName(em, target, schema)} ${inner}`;
  let where: string;
  const isMany = prop.kind === 'm:n' || prop.kind === '1:m';
  if (prop.kind === 'm:n') {
    const pivot = pivotOf(em, prop, em.schema);
    const link = `p${context.tables}`;
    const joined = keys.map((key, index) => `${inner}.${quote(key)} = ${link}.${quote(pivot.columns[index] ?? '')}`);
    from = `${pivot.table} ${link} join ${from} on ${joined.join(' and ')}`;
    where = on(pivot.own, own, link);
  } else if (prop.kind === 'm:1' || prop.owner) {
    where = on(keys, prop.fieldNames, inner);
  } else {
    where = on(inverseOf(prop).fieldNames, own, inner);
  }
  const nested = field.nested ? await compileLevel(field.nested, inner, context, around) : undefined;
  const columns = nested ? nested.fields : keyColumnOf(context, meta, prop, target, inner);
  const parsers = await parsersOf(columns, from, context);
  const [key] = columns;
  const showRow = (text: string): unknown => {
    const values = splitRow(text).map((value, index) => (value === null ? null : parsers[index]?.(value)));
    return nested ? nested.show(values, 0) : key && shownValue(key, values[0]);
  };
  const row = `row(${columns.map(({ sql: column }) => column).join(', ')})::text`;
  if (!isMany) {
    const sql = `(select ${row} from ${from} where ${where})`;
    return { name: prop.name, sql, show: (text) => showRow(String(text)), stored: undefined, isColumn: false };
  }
  const order = target
    .getPrimaryProps()
    .flatMap((key) =>
      key.fieldNames.map((column, index) => ordered(`${inner}.${quote(column)}`, key.columnTypes[index] ?? '')),
    )
    .join(', ');
  const sql = `(select coalesce(json_agg(${row} order by ${order}), '[]')::text from ${from} where ${where})`;
  return {
    name: prop.name,
    sql,
    show: (text) => (JSON.parse(String(text)) as readonly string[]).map(showRow),
    stored: nested || prop.kind !== 'm:n' || !key ? undefined : storedMembers(prop.name, key.show),
    isColumn: false,
  };
}

/** The key of a related row, which is one column. */
function keyColumnOf(
  context: Compiling,
  meta: EntityMetadata,
  prop: EntityProperty,
  target: EntityMetadata,
  alias: string,
): readonly PlannedField[] {
  keyOf(meta, prop);
  return target.getPrimaryProps().map((key) => columnField(context, target, key, alias));
}

/** How the driver reads the columns of a row that comes as text. Rows that are nested in it are texts again. */
async function parsersOf(
  fields: readonly PlannedField[],
  from: string,
  { em, parserOf: parser }: Compiling,
): Promise<readonly ((text: string) => unknown)[]> {
  const run = async <Row>(text: string, parameters: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      return await runStatement<Row>(clientOf(em), { text }, parameters);
    } catch (error) {
      throw em.getDriver().convertException(error as Error);
    }
  };
  const columns = fields.filter(({ isColumn }) => isColumn);
  const [oids] = columns.length > 0 ? await typesFor(run, from, columns) : [[]];
  const parsers = new Map(columns.map((column, index) => [column, parser(oids[index] ?? textType)]));
  return fields.map((field) => parsers.get(field) ?? ((text) => text));
}

/** The OID of `text`. */
const textType = 25;

/** Whether the entity's property is what its column says. */
function isSimpleColumn(prop: EntityProperty): boolean {
  const isRead = hasColumn(prop) && prop.fieldNames.length === 1 && !prop.embedded;
  return isRead && !prop.getter && !prop.setter && !prop.accessor;
}

function columnField(context: Compiling, meta: EntityMetadata, prop: EntityProperty, alias: string): PlannedField {
  const { em } = context;
  const column = prop.fieldNames[0] ?? '';
  const show = shownBy(prop.targetMeta ? keyOf(meta, prop) : prop, context.platform);
  const sql = columnSql(em, meta, prop, alias, quoter(em)(column));
  return { name: prop.name, sql, show, stored: storedColumn(column, show), isColumn: true };
}

function storedColumn(column: string, show: PlannedField['show']): PlannedField['stored'] {
  return ({ columns }) => {
    const value = columns[column];
    return value === null || value === undefined ? value : show(value);
  };
}

function storedMembers(name: string, show: PlannedField['show']): PlannedField['stored'] {
  return ({ members }) => members?.[name]?.map(show);
}
