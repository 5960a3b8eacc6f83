import { BigIntType, Collection, Type } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, OneToMany, OneToOne, PrimaryKey } from '@mikro-orm/decorators/legacy';
import fc from 'fast-check';
import { type ColumnKind, columnKinds, type Decorate } from './column-kinds.js';

export type Row = Record<string, unknown>;
export type RowClass = new () => Row;

/** What a client sends for one column of one row. */
export interface Cell {
  readonly value: unknown;
  readonly state: 'value' | 'null' | 'absent';
}

export interface ColumnPlan {
  readonly kind: ColumnKind;
  readonly isNullable: boolean;
  readonly use: 'both' | 'readOnly' | 'writeOnly';
  /** The column is called otherwise than its property. */
  readonly columnName: string | undefined;
  readonly cells: readonly Cell[];
}

export interface RelationPlan {
  readonly kind: 'm:1' | '1:1' | 'm:n';
  /** Which of the models before it. */
  readonly target: number;
  readonly isSelf: boolean;
  readonly isNullable: boolean;
  readonly isNested: boolean;
  readonly inverse: 'none' | 'keys' | 'nested';
  /** Which rows of the target, for each row. */
  readonly picks: readonly (readonly number[])[];
}

export interface ModelPlan {
  readonly key: KeyName;
  readonly columns: readonly ColumnPlan[];
  readonly relations: readonly RelationPlan[];
}

export const ormOptions = {
  none: {},
  forceUndefined: { forceUndefined: true },
  utc: { forceUtcTimezone: true },
  zone: { timezone: '+02:00' },
  selectIn: { loadStrategy: 'select-in' },
  names: { namingStrategy: 'entity case' },
} as const;

export const allOptions = Object.keys(ormOptions) as (keyof typeof ormOptions)[];

export interface Batch {
  readonly options: keyof typeof ormOptions;
  readonly models: readonly ModelPlan[];
}

/** Rows are made of the first, and then changed to the next. */
const rowsPerModel = 3;
const cellsPerColumn = rowsPerModel + 1;

/** A key in the database with a prefix for clients. */
class Prefixed extends Type<string, number> {
  override convertToDatabaseValue(value: string | number): number {
    return typeof value === 'number' ? value : Number(value.replace('u_', ''));
  }
  override convertToJSValue(value: number): string {
    return `u_${value}`;
  }
  override getColumnType(): string {
    return 'int';
  }
}

interface KeyPart {
  readonly name: string;
  readonly type: unknown;
  readonly options: object;
  /** What a client sends; undefined where the database makes it. */
  readonly value?: (row: number) => unknown;
}

const part = (name: string, type: unknown, options: object, value?: KeyPart['value']): KeyPart => ({
  name,
  type,
  options,
  ...(value && { value }),
});
const uuidOf = (row: number): string => `ABCDEF00-0000-4000-8000-00000000000${row}`;

export const keyKinds = {
  integer: [part('id', Number, { type: 'integer' })],
  bigint: [part('id', BigInt, { type: 'bigint' })],
  bigintText: [part('id', String, { type: new BigIntType('string') })],
  bigintNumber: [part('id', Number, { type: new BigIntType('number') })],
  uuid: [part('id', String, { type: 'uuid' }, uuidOf)],
  uuidMade: [part('id', String, { type: 'uuid', defaultRaw: 'gen_random_uuid()' })],
  string: [part('code', String, { type: 'string' }, (row) => ['a"b', 'Ä,c', " x'"][row])],
  char: [part('code', String, { type: 'character', columnType: 'char(4)' }, (row) => ['ab', 'cdef', 'x'][row])],
  date: [part('day', String, { type: 'date' }, (row) => `2026-01-0${row + 1}`)],
  decimal: [part('number', String, { type: 'decimal', precision: 8, scale: 2 }, (row) => `${row}.50`)],
  composite: [
    part('code', String, { type: 'string' }, (row) => `c${row}`),
    part('place', Number, { type: 'integer' }, (row) => row),
  ],
  compositeOfBigints: [
    part('one', BigInt, { type: 'bigint' }, (row) => `${row + 1}`),
    part('two', BigInt, { type: 'bigint' }, (row) => `900719925474099${row}`),
  ],
  custom: [part('id', String, { type: Prefixed }, (row) => `u_${row}`)],
} as const satisfies Record<string, readonly KeyPart[]>;

export type KeyName = keyof typeof keyKinds;

export const allKeys = Object.keys(keyKinds) as KeyName[];

export interface Generating {
  /** Kinds that are left out. */
  readonly without?: readonly string[];
  readonly keys?: readonly KeyName[];
  /** Whether rows refer to rows of their own model. */
  readonly hasSelfRelations?: boolean;
}

const columnNames = fc.constantFrom('Größe', 'a b', 'select', 'camelCase', "a'b");

export function columnPlan(kind: ColumnKind): fc.Arbitrary<ColumnPlan> {
  const cell = fc.record({
    value: kind.values ?? fc.constant(undefined),
    state: fc.oneof(
      { weight: 6, arbitrary: fc.constant('value' as const) },
      { weight: 2, arbitrary: fc.constant('null' as const) },
      { weight: 1, arbitrary: fc.constant('absent' as const) },
    ),
  });
  return fc.record({
    kind: fc.constant(kind),
    isNullable: kind.isNeverNull ? fc.constant(false) : fc.boolean(),
    use: fc.oneof(
      { weight: 8, arbitrary: fc.constant('both' as const) },
      { weight: 1, arbitrary: fc.constant('readOnly' as const) },
      { weight: 1, arbitrary: fc.constant('writeOnly' as const) },
    ),
    columnName: fc.option(columnNames, { nil: undefined, freq: 6 }),
    cells: fc.array(cell, { minLength: cellsPerColumn, maxLength: cellsPerColumn }),
  });
}

const relationPlan = (hasSelfRelations: boolean): fc.Arbitrary<RelationPlan> =>
  fc.record({
    isSelf: hasSelfRelations ? fc.integer({ min: 0, max: 4 }).map((chance) => chance === 4) : fc.constant(false),
    kind: fc.constantFrom('m:1', '1:1', 'm:n'),
    target: fc.nat({ max: 20 }),
    isNullable: fc.boolean(),
    isNested: fc.boolean(),
    inverse: fc.constantFrom('none', 'keys', 'nested'),
    picks: fc.array(fc.array(fc.nat({ max: 8 }), { maxLength: 3 }), {
      minLength: cellsPerColumn,
      maxLength: cellsPerColumn,
    }),
  });

export function modelPlan({
  without = [],
  keys = allKeys,
  hasSelfRelations = true,
}: Generating = {}): fc.Arbitrary<ModelPlan> {
  const kinds = columnKinds.filter(({ name }) => !without.includes(name));
  return fc.record({
    key: fc.constantFrom(...keys),
    columns: fc.uniqueArray(fc.oneof(...kinds.map(columnPlan)), {
      minLength: 1,
      maxLength: 12,
      selector: ({ kind }) => kind.name,
    }),
    relations: fc.array(relationPlan(hasSelfRelations), { maxLength: 3 }),
  });
}

export function batch(generating: Generating = {}): fc.Arbitrary<Batch> {
  return fc.record({
    options: fc.constantFrom(...allOptions),
    models: fc.array(modelPlan(generating), { minLength: 1, maxLength: 8 }),
  });
}

// Classes

export interface GeneratedField {
  readonly name: string;
  readonly use: ColumnPlan['use'];
}

export interface GeneratedRelation {
  readonly name: string;
  readonly plan: RelationPlan;
  readonly target: GeneratedModel;
  /** False for the side that another model declared. */
  readonly isOwn: boolean;
  readonly isMany: boolean;
  readonly isNested: boolean;
}

export interface GeneratedModel {
  readonly name: string;
  readonly plan: ModelPlan;
  readonly entity: RowClass;
  readonly keys: readonly KeyPart[];
  readonly fields: readonly (GeneratedField & { readonly plan: ColumnPlan })[];
  readonly relations: GeneratedRelation[];
}

/** Entity classes of a batch, as decorators would have declared them. */
export function modelsOf({ models }: Batch): readonly GeneratedModel[] {
  const made: GeneratedModel[] = [];
  for (const [index, plan] of models.entries()) {
    const model = classOf(`M${index}`, plan);
    plan.relations.forEach((relation, number) => {
      const target = relation.isSelf ? model : made[relation.target % made.length];
      if (target) declareRelation(model, target, relation, `r${number}`);
    });
    Entity()(model.entity);
    made.push(model);
  }
  return made;
}

function classOf(name: string, plan: ModelPlan): GeneratedModel {
  const entity = { [name]: class {} }[name] as RowClass;
  const keys: readonly KeyPart[] = keyKinds[plan.key];
  for (const key of keys) declare(entity, key.name, key.type, PrimaryKey(key.options as never));
  const fields = plan.columns.map((column, index) => {
    const field = `f${index}`;
    const { kind } = column;
    kind.prepare?.(entity.prototype, field);
    const options = {
      ...(column.isNullable && { nullable: true }),
      ...(column.columnName !== undefined && kind.values && { fieldName: column.columnName + index }),
    };
    declare(entity, field, kind.type, kind.declare(options));
    return { name: field, use: kind.values ? column.use : ('readOnly' as const), plan: column };
  });
  return { name, plan, entity, keys, fields, relations: [] };
}

function declare(entity: RowClass, name: string, type: unknown, decorate: Decorate): void {
  Reflect.defineMetadata('design:type', type, entity.prototype, name);
  decorate(entity.prototype, name);
}

/** MikroORM cannot write links of such rows: serializers refuse them at start-up. */
function isLinkable({ plan }: GeneratedModel): boolean {
  return plan.key !== 'compositeOfBigints';
}

function declareRelation(model: GeneratedModel, target: GeneratedModel, planned: RelationPlan, name: string): void {
  const isLinked = planned.kind !== 'm:n' || (isLinkable(model) && isLinkable(target));
  const plan: RelationPlan = isLinked ? planned : { ...planned, kind: 'm:1' };
  const { kind, inverse } = plan;
  const back = `b${target.relations.length}_${model.name}_${name}`;
  const isSelf = model === target;
  const isNullable = plan.isNullable || isSelf || kind === '1:1';
  const options = { entity: () => target.entity, ...(isNullable && kind !== 'm:n' && { nullable: true }) };
  const sides = inverse === 'none' ? {} : { inversedBy: back };
  const owning =
    kind === 'm:1'
      ? ManyToOne({ ...options, ...sides } as never)
      : kind === '1:1'
        ? OneToOne({ ...options, ...sides, owner: true } as never)
        : ManyToMany({ ...options, ...sides, owner: true } as never);
  declare(model.entity, name, kind === 'm:n' ? Collection : Object, owning as Decorate);
  const isNested = plan.isNested;
  model.relations.push({ name, plan: { ...plan, isNullable }, target, isOwn: true, isMany: kind === 'm:n', isNested });
  if (inverse === 'none') return;
  const inverted = { entity: () => model.entity, mappedBy: name };
  const other =
    kind === 'm:1'
      ? OneToMany(inverted as never)
      : kind === '1:1'
        ? OneToOne({ ...inverted, nullable: true } as never)
        : ManyToMany(inverted as never);
  declare(target.entity, back, kind === '1:1' ? Object : Collection, other as Decorate);
  target.relations.push({
    name: back,
    plan,
    target: model,
    isOwn: false,
    isMany: kind !== '1:1',
    isNested: inverse === 'nested',
  });
}
