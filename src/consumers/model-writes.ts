import type { EntityManager, EntityMetadata, EntityProperty, EventSubscriber } from '@mikro-orm/core';
import type { Request } from '../dispatch/request.js';
import { NotFound, TimeLimitExceeded, ValidationFailed } from '../errors.js';
import { ChangeLog } from '../log/change-log.js';
import type { Class } from '../metadata.js';
import type { Reader, Selection } from '../orm/model-queries.js';
import { CommitInDoubt, isConnectionFailure, isWithoutEffect } from '../orm/orm-errors.js';
import { columnSql, findProp, hasColumn, keyColumns, propOf, quoter, tableName } from '../orm/row.js';
import { clientOf, type PlainRow, runRows, runStatement } from '../orm/statements.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import {
  isStoredColumn,
  type Logged,
  unwritable,
  type WriteShape,
  writeSql,
  writtenKey,
  writtenValue,
} from '../orm/write-statements.js';
import type { ActionContext } from '../scope/action-context.js';
import { ofKey } from '../serializers/model-key.js';
import { type PlannedRows, type RowPlan, ShownRow } from '../serializers/model-plan.js';
import { BaseModelSerializer, declaredBy } from '../serializers/model-serializer.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { type AnyModelConsumer, modelOf, overrides, planFor, settingsOf } from './model-consumer.js';
import type { WriteKind } from './model-mixins.js';

/** What a client sent for a write. */
export interface AskedWrite {
  readonly kind: WriteKind;
  /** The key as the entity has it; undefined for a new row. */
  readonly key: unknown;
  readonly data: unknown;
  /** Asks the permissions for the row, where they have an opinion on it; whether they looked at nothing else. */
  readonly judge?: (object: object) => Promise<boolean>;
}

/** What is known of the writes of a consumer before anything is asked for. */
export interface WriteGround {
  readonly unitOfWork: UnitOfWork;
  readonly reader: Reader;
  readonly meta: EntityMetadata;
  readonly log: ChangeLog;
  /** What the log wants of them; undefined for a model that no application observes. */
  readonly logged: Logged | undefined;
}

/** Undefined where an entity is needed, whatever is written. @param isJudged whether a permission looks at the rows */
export async function groundOf(
  consumer: AnyModelConsumer,
  kind: WriteKind,
  isJudged: boolean,
): Promise<WriteGround | undefined> {
  const unitOfWork: UnitOfWork = consumer['unitOfWork'];
  const { reader } = unitOfWork;
  const { em } = reader;
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  if (reader.transaction || !isPlainWrite(consumer, meta, em, kind)) return undefined;
  if (isJudged && !isMadeOfColumns(meta)) return undefined;
  if (await hasTriggers(reader, meta)) return undefined;
  const log = ChangeLog.find(em);
  const told = await log?.oneRow(meta);
  return log && told && { unitOfWork, reader, meta, log, logged: told.logged };
}

/** What a write gives back of its rows, and how they are shown; those that are deleted are not. */
export interface ShownWrite {
  readonly selection: Selection;
  readonly planned: PlannedRows | undefined;
}

/** Undefined where the statement cannot say what is shown. */
export async function shownWrite(
  consumer: AnyModelConsumer,
  request: ActionContext,
  kind: WriteKind,
  meta: EntityMetadata,
): Promise<ShownWrite | undefined> {
  if (kind === 'delete') return { selection: keyOnly(meta), planned: undefined };
  const planned = await planFor(consumer, request);
  return planned && isShownBySql(planned.plan, meta) ? { selection: planned.plan.selection, planned } : undefined;
}

const keysOnly = new WeakMap<EntityMetadata, Selection>();

function keyOnly(meta: EntityMetadata): Selection {
  const known = keysOnly.get(meta) ?? {
    id: `key ${meta.className}`,
    meta,
    columns: [],
    keyLength: keyColumns(meta).length,
  };
  keysOnly.set(meta, known);
  return known;
}

/**
 * Writes one row by one statement, which is a transaction of its own, and gives it as it is stored. Undefined where an entity is needed:
 * the application's code has a say in the write, or the statement could not do what the ORM does.
 *
 * @throws ValidationFailed, NotFound, and what the database refuses, as the way through an entity does
 */
export async function writeRow(
  consumer: AnyModelConsumer,
  request: Request,
  { kind, key, data, judge }: AskedWrite,
): Promise<ShownRow | undefined> {
  const ground = await groundOf(consumer, kind, judge !== undefined);
  if (!ground) return undefined;
  const { unitOfWork, reader, meta, log, logged } = ground;
  const shown = await shownWrite(consumer, request, kind, meta);
  const visible = kind === 'create' ? undefined : await consumer['visibleRows'](request);
  // What rights and the query read of the database belongs into the transaction of the write.
  if (!shown || unitOfWork.isUsed) return undefined;
  const values = kind === 'delete' ? new Map() : await valuesOf(consumer, request, meta, kind, data);
  if (!values || (kind !== 'delete' && values.size === 0)) return undefined;
  const parameters = parametersOf(reader, meta, kind, key, values);
  if (!parameters) return undefined;
  const first = (logged ? 4 : 1) + parameters.length;
  const filter = visible ? await unitOfWork.queries.condition(reader, meta, visible as object, first) : everyRow;
  if (!filter) return undefined;
  const shape: WriteShape = {
    kind: kind === 'create' || kind === 'delete' ? kind : 'update',
    selection: shown.selection,
    props: [...values.keys()],
    logged,
    filter: filter.text,
    isVersioned: judge !== undefined,
    parameters: first - 1 + filter.values.length + (judge ? 1 : 0),
  };
  const head = logged ? log.headOfEntry(logged, kind === 'create') : [];
  const wait = waitOf(request);
  const write = async (version: readonly string[]): Promise<readonly unknown[] | undefined> => {
    request.beginCommit();
    const row = await run(unitOfWork, shape, [...head, ...parameters, ...filter.values, ...version, wait]);
    if (logged && row) log.wroteRow(meta, row.at(-1));
    return row;
  };
  const row = judge
    ? await writeAsJudged(unitOfWork, request, { meta, where: { $and: [ofKey(meta, key), visible] }, judge, write })
    : await write([]);
  // What other tables say may have changed while the statement waited for the row: the way through an entity asks them anew.
  if (!row && (judge || filter.looksAtOthers)) {
    request.takeBackCommit();
    return undefined;
  }
  if (!row) throw new NotFound();
  const { planned } = shown;
  return new ShownRow(planned ? await planned.plan.show(row, planned.context) : null, row);
}

/** For how many milliseconds a statement may wait for a lock, as text. */
export function waitOf({ definition }: Request): string {
  return String(Math.ceil(definition?.timeLimit ?? 0));
}

/** A row that others write all the time is written by the way through an entity in the end, whose transaction does not begin anew. */
const mostJudgements = 3;

interface JudgedWrite {
  readonly meta: EntityMetadata;
  readonly where: object;
  readonly judge: (object: object) => Promise<boolean>;
  /** Writes the row unless it has another version by now. */
  readonly write: (version: readonly string[]) => Promise<readonly unknown[] | undefined>;
}

/**
 * Reads the row with its version, has it judged, and writes it unless another transaction has written it since: then it is judged anew.
 *
 * @returns undefined where an entity is needed after all
 * @throws NotFound, and what the permissions refuse with
 */
async function writeAsJudged(
  unitOfWork: UnitOfWork,
  request: Request,
  { meta, where, judge, write }: JudgedWrite,
): Promise<readonly unknown[] | undefined> {
  const { queries, reader } = unitOfWork;
  for (let judgement = 0; judgement < mostJudgements; judgement += 1) {
    const { selection, names } = judgedColumns(reader, meta);
    const [found] = await queries.rows(reader, selection, { where, limit: 1 });
    if (!found) throw new NotFound();
    const columns = Object.fromEntries(names.map((name, index) => [name, found[index]]));
    const object = unitOfWork.runWith(meta, { columns }, reader.schema, (row) => row.entity);
    if (!(await judge(object))) return undefined;
    const row = await write([String(found.at(-1))]);
    if (row) return row;
    request.takeBackCommit();
  }
  return undefined;
}

export interface JudgedColumns {
  readonly selection: Selection;
  readonly names: readonly string[];
}

/** By model and schema: the statements of a selection are made once for each. */
const judged = new WeakMap<EntityMetadata, Map<string | undefined, JudgedColumns>>();

/** What an entity is made of, and the version of the row. */
export function judgedColumns(reader: Reader, meta: EntityMetadata): JudgedColumns {
  const bySchema = judged.get(meta) ?? new Map<string | undefined, JudgedColumns>();
  judged.set(meta, bySchema);
  const known = bySchema.get(reader.schema) ?? makeJudgedColumns(reader, meta);
  bySchema.set(reader.schema, known);
  return known;
}

function makeJudgedColumns({ em, schema }: Reader, meta: EntityMetadata): JudgedColumns {
  const quote = quoter(em);
  const keys = meta.getPrimaryProps();
  const read = [...keys, ...meta.props.filter((prop) => hasColumn(prop) && !prop.lazy && !prop.primary)];
  const columns = new Map(
    read.flatMap((prop) => prop.fieldNames.map((name) => [name, columnSql(em, meta, prop, 't', quote(name))] as const)),
  );
  const id = `judged ${meta.className} ${schema ?? ''}`;
  const selection = { id, meta, columns: [...columns.values(), 't.xmin::text'], keyLength: keyColumns(meta).length };
  return { selection, names: [...columns.keys()] };
}

/** Whether an entity that is made of the columns alone is the one that MikroORM would find. */
function isMadeOfColumns(meta: EntityMetadata): boolean {
  return (
    !meta.hooks.onLoad?.length && !meta.relations.some(({ eager, kind, owner }) => eager || (kind === '1:1' && !owner))
  );
}

/**
 * Whether the statement itself can say what is shown: it sees its own table as it was before the write. Code of the application has to show
 * the row before it is committed: what cannot be shown has not happened.
 */
function isShownBySql({ related, selection, runsCode }: RowPlan, { root }: EntityMetadata): boolean {
  const isFormula = (sql: string): boolean =>
    /\bselect\b/i.test(sql) && !/^\(select (row|coalesce\(json_agg)\(/.test(sql);
  return !runsCode && related.every((other) => other.root !== root) && !selection.columns.some(isFormula);
}

export const everyRow = { text: undefined, values: [], looksAtOthers: false };

/** Clients choose what they patch: with more texts than these, all are made anew. */
const mostTexts = 1_000;

const sqlByShape = new WeakMap<object, Map<string, string>>();

/** PostgreSQL's code for a lock that was not to be had in time. */
const lockTimeout = '55P03';

async function run(
  unitOfWork: UnitOfWork,
  shape: WriteShape,
  parameters: readonly unknown[],
): Promise<readonly unknown[] | undefined> {
  const { kind, selection, props, logged, filter, isVersioned } = shape;
  const written = props.map(({ name }) => name).join();
  const log = `${logged?.shape.id}/${logged?.needsBefore}`;
  const name = `${kind}|${selection.id}|${written}|${log}|${isVersioned}|${filter}`;
  const [row] = await runWrite(unitOfWork, kind, name, (em, schema) => writeSql(em, schema, shape), parameters);
  return row;
}

/** @param name tells the text of the statement from others @throws what MikroORM makes of the database's refusal, TimeLimitExceeded, CommitInDoubt */
export async function runWrite(
  { queries, reader: { em, schema } }: UnitOfWork,
  kind: string,
  name: string,
  made: (em: EntityManager, schema: string | undefined) => string,
  parameters: readonly unknown[],
): Promise<readonly PlainRow[]> {
  const known = sqlByShape.get(em.getMetadata()) ?? new Map<string, string>();
  sqlByShape.set(em.getMetadata(), known);
  const shape = `${schema ?? ''}|${name}`;
  const text = known.get(shape) ?? made(em, schema);
  if (known.size >= mostTexts) known.clear();
  known.set(shape, text);
  const statement = { text, ...(queries.hasNames && { name: kind }) };
  try {
    return await runRows(clientOf(em), statement, parameters);
  } catch (error) {
    if (Reflect.get(Object(error), 'code') === lockTimeout) throw new TimeLimitExceeded(undefined, { cause: error });
    // The statement is its own transaction: it took effect, or it did not.
    if (isConnectionFailure(error) && !isWithoutEffect(error)) throw new CommitInDoubt(error as Error);
    throw em.getDriver().convertException(error as Error);
  }
}

function parametersOf(
  { em }: Reader,
  meta: EntityMetadata,
  kind: WriteKind,
  key: unknown,
  values: ReadonlyMap<EntityProperty, unknown>,
): readonly unknown[] | undefined {
  const platform = em.getDriver().getPlatform();
  try {
    const keys = kind === 'create' ? [] : writtenKey(meta, ofKey(meta, key), platform);
    return [...keys, ...[...values].map(([prop, value]) => writtenValue(prop, value, platform))];
  } catch (thrown) {
    if (thrown === unwritable) return undefined;
    throw thrown;
  }
}

/** What is written, checked by the serializer; undefined where the ORM would write more than that. */
export async function valuesOf(
  consumer: AnyModelConsumer,
  request: ActionContext,
  meta: EntityMetadata,
  kind: WriteKind,
  data: unknown,
): Promise<ReadonlyMap<EntityProperty, unknown> | undefined> {
  if (!isPlainData(meta, kind, data)) return undefined;
  const context = consumer['getSerializerContext'](request);
  const serializer = context.resolve(consumer['getSerializer'](request)) as BaseModelSerializer<object, unknown>;
  const checked = await serializer.validate(data, context, { partial: kind === 'patch' }).catch(unlessNewRow(kind));
  if (!checked) return undefined;
  const values = new Map(
    Object.entries(checked as object).map(([name, value]) => [propOf(meta, name), value] as const),
  );
  if (kind !== 'create') return values;
  for (const [prop, initial] of initialValues(meta))
    if (!values.has(prop) && initial !== 'unknown') values.set(prop, initial.value);
  for (const prop of meta.props)
    if (!values.has(prop) && prop.onCreate) values.set(prop, (prop.onCreate as () => unknown)());
  return values;
}

/** Whether each field that came is one column, and none that did not come has a value that the class gives it. */
function isPlainData(meta: EntityMetadata, kind: WriteKind, data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  const isPlain = (name: string): boolean => {
    const prop = findProp(meta, name);
    if (!prop) return true;
    const isColumn = isStoredColumn(prop) && prop.fieldNames.length === 1 && prop.kind !== 'embedded' && !prop.embedded;
    return isColumn && !prop.polymorphic && !prop.setter && (!prop.primary || kind === 'create');
  };
  if (!Object.keys(data).every(isPlain)) return false;
  return (
    kind !== 'create' || [...initialValues(meta)].every(([{ name }, initial]) => initial !== 'unknown' || name in data)
  );
}

/** A row that is not there is told before data that do not fit: the way through an entity finds out. */
function unlessNewRow(kind: WriteKind): (error: unknown) => undefined {
  return (error) => {
    if (kind === 'create' || !(error instanceof ValidationFailed)) throw error;
    return undefined;
  };
}

const initializers = new WeakMap<EntityMetadata, ReadonlyMap<EntityProperty, Initial>>();

/** What a new instance of the class has already, by the property; a value that the next instance would have too is known beforehand. */
type Initial = { readonly value: unknown } | 'unknown';

function initialValues(meta: EntityMetadata): ReadonlyMap<EntityProperty, Initial> {
  const known = initializers.get(meta);
  if (known) return known;
  const make = (): object => new (meta.class as new () => object)();
  const [one, other] = [make(), make()];
  const found = new Map<EntityProperty, Initial>();
  for (const prop of meta.props.filter(isStoredColumn)) {
    const value: unknown = Reflect.get(one, prop.name);
    if (value === undefined) continue;
    const isConstant = typeof value !== 'object' && value === Reflect.get(other, prop.name);
    found.set(prop, isConstant || value === null ? { value } : 'unknown');
  }
  initializers.set(meta, found);
  return found;
}

/** By model and consumer class. */
const plainWrites = new WeakMap<EntityMetadata, WeakMap<Class, Partial<Record<WriteKind, boolean>>>>();

/** Whether neither the application's code nor the ORM does more than to write the columns. */
function isPlainWrite(consumer: AnyModelConsumer, meta: EntityMetadata, em: EntityManager, kind: WriteKind): boolean {
  const type = consumer.constructor as Class;
  const byClass = plainWrites.get(meta) ?? new WeakMap<Class, Partial<Record<WriteKind, boolean>>>();
  plainWrites.set(meta, byClass);
  const known = byClass.get(type) ?? {};
  byClass.set(type, known);
  known[kind] ??= isDeclaredPlain(consumer, meta, kind);
  return known[kind] && !isListenedTo(meta, em);
}

function isDeclaredPlain(consumer: AnyModelConsumer, meta: EntityMetadata, kind: WriteKind): boolean {
  const type = consumer.constructor as Class;
  const hooks = [
    'getObject',
    ...performers[kind],
    ...(kind === 'delete' ? [] : ['getSerializer', 'getSerializerContext']),
  ];
  if (hooks.some((hook) => overrides(type, hook)) || settingsOf(consumer).lookupField !== 'pk') return false;
  return isPlainModel(meta, kind) && (kind === 'delete' || isPlainSerializer(settingsOf(consumer).serializer));
}

const performers: Readonly<Record<WriteKind, readonly string[]>> = {
  create: ['performCreate'],
  update: ['performUpdate'],
  patch: ['performPatch', 'performUpdate'],
  delete: ['performDelete'],
};

/** One that leaves what comes to another one is as plain as that. */
function isPlainSerializer(serializer: SerializerClass): boolean {
  const declared = declaredBy(serializer);
  if (!declared) return false;
  const base = BaseModelSerializer.prototype;
  const members = ['validate', 'create', 'update', 'check'] as const;
  if (members.some((member) => declared.prototype[member] !== base[member])) return false;
  const { input } = declared.options;
  return !input || isPlainSerializer(input);
}

const quietHooks = new Set(['onInit', 'onLoad']);

function isPlainModel(meta: EntityMetadata, kind: WriteKind): boolean {
  if (meta.virtual || meta.expression || meta.view || meta.inheritanceType || meta.root !== meta) return false;
  if (Object.keys(meta.hooks).some((hook) => !quietHooks.has(hook))) return false;
  if (meta.versionProperty || meta.concurrencyCheckKeys.size > 0) return false;
  if (meta.props.some(({ onUpdate, onCreate }) => onUpdate || (onCreate && onCreate.length > 0))) return false;
  // The ORM writes null into each column of an embedded value that is not there, whatever their defaults are.
  if (kind === 'create' && meta.props.some((prop) => prop.kind === 'embedded' && prop.nullable)) return false;
  if (kind !== 'delete') return true;
  return meta.relations.every(({ kind: relation, orphanRemoval, cascade }) => {
    const removes = cascade?.some((each) => each === 'remove' || each === 'all');
    return !orphanRemoval && !removes && relation !== 'm:n' && relation !== '1:m';
  });
}

/** Subscribers of the application hear of what the ORM writes, and of its transactions. */
function isListenedTo({ className, class: entity }: EntityMetadata, em: EntityManager): boolean {
  const capture = ChangeLog.find(em)?.capture;
  const subscribers = em.getEventManager().getSubscribers();
  if (capture && subscribers.size === 1 && subscribers.has(capture)) return false;
  return [...subscribers].some((subscriber) => {
    if (subscriber === capture) return false;
    const entities = (subscriber as EventSubscriber).getSubscribedEntities?.() ?? [];
    return entities.length === 0 || entities.some((each) => each === entity || String(each) === className);
  });
}

const triggers = new WeakMap<EntityMetadata, Promise<boolean>>();

/** Whether the table has rules, or triggers that act behind a write: the statement would give and log the row before they did. */
function hasTriggers(reader: Reader, meta: EntityMetadata): Promise<boolean> {
  const known = triggers.get(meta);
  if (known) return known;
  const asked = askTriggers(reader, meta);
  triggers.set(meta, asked);
  asked.catch(() => triggers.delete(meta));
  return asked;
}

async function askTriggers({ em, schema }: Reader, meta: EntityMetadata): Promise<boolean> {
  const [found] = await runStatement<{ has: boolean }>(
    clientOf(em),
    {
      text: `select exists (select from pg_trigger where tgrelid = $1::regclass and not tgisinternal and tgtype & 66 = 0)
        or exists (select from pg_rewrite where ev_class = $1::regclass) as has`,
    },
    [tableName(em, meta, schema)],
  );
  return found?.has ?? true;
}
