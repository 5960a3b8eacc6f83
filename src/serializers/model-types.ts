import type { Opt, OptionalProps, PrimaryKeyProp, ScalarReference } from '@mikro-orm/core';
import type { Class, ConcreteClass } from '../metadata.js';
import type { RightsNameOf, RightsProvider } from '../permissions/permission.js';
import type { Json } from '../wire/json.js';
import type { FieldRights } from './field-rights.js';
import type { AnySerializer, Serializer, SerializerClass } from './serializer.js';

/**
 * Options of `ModelSerializer(Entity, options)`. All but `fields` may be left out; a ConfigurationError names a field that the entity does
 * not have.
 */
export interface ModelSerializerOptions<Entity> {
  /** Fields that are shown, and accepted unless they are read-only. */
  readonly fields: readonly FieldOf<Entity>[];
  /**
   * Fields that are only shown. Generated columns and keys that the database makes are always read-only. A version that a client sends is
   * compared with the row's.
   */
  readonly readOnly?: readonly FieldOf<Entity>[];
  /** Fields that are accepted and not shown. */
  readonly writeOnly?: readonly FieldOf<Entity>[];
  /** Fields that may be left out on create, although the entity's type shows no default of their column. */
  readonly optional?: readonly FieldOf<Entity>[];
  /** Relations that another serializer shows, instead of their keys. They are read-only. */
  readonly nested?: { readonly [Field in FieldOf<Entity>]?: NestedSerializer<Entity[Field]> };
  /** Fields that are public methods of the serializer: `lastMessage(room: Room, context: SerializerContext)`. */
  readonly computed?: readonly string[];
  /**
   * What computed fields read of a row: `{ age: ['createdAt'], title: ['name', 'room.name'] }`. Such a method receives only that: `age({
   * createdAt }: Pick<Message, 'createdAt'>)`. It needs no entity, and its relations need no `populate`.
   */
  readonly reads?: { readonly [Computed in string]?: readonly ReadPath<Entity>[] };
  /** Relations that computed fields without `reads` read; they are loaded first. */
  readonly populate?: readonly string[];
  /**
   * Fields that are shown to, and accepted from, clients with a right only: `{ by: StaffRights, fields: { salary: 'hr', notes: ['hr',
   * 'lead'] } }`. The provider returns the rights of a request. An event is serialized once for each combination of rights.
   */
  readonly rights?: FieldRights;
  /**
   * Another serializer of this entity that validates and writes what clients send, while this one only shows rows. Use it to show relations
   * nested and accept them by key.
   */
  readonly input?: ConcreteClass<Serializer<Entity & object> & ModelTypes<Entity & object, unknown>>;
}

/** The options as a class keeps them, whatever its entity. */
export interface DeclaredOptions {
  readonly fields: readonly string[];
  readonly readOnly?: readonly string[];
  readonly writeOnly?: readonly string[];
  readonly optional?: readonly string[];
  readonly nested?: Readonly<Record<string, SerializerClass>>;
  readonly computed?: readonly string[];
  readonly reads?: Readonly<Record<string, readonly string[]>>;
  readonly populate?: readonly string[];
  readonly rights?: FieldRights;
  readonly input?: SerializerClass;
}

/** A column, or a column of a relation: `text`, `room.name`. */
export type ReadPath<Entity> = {
  [Field in FieldOf<Entity>]: [TargetOf<Entity[Field]>] extends [never]
    ? Field
    : `${Field}.${FieldOf<TargetOf<Entity[Field]>>}` | `${Field}.${string}.${string}`;
}[FieldOf<Entity>];

/** The name of a property that is not a method. */
export type FieldOf<Entity> = {
  [Field in keyof Entity]-?: Entity[Field] extends Callable ? never : Field;
}[keyof Entity] &
  string;

type Callable = (...parameters: never) => unknown;

/**
 * Refuses options that type inference would accept: `readonly` for `readOnly`, a nested field that is not shown. The types are texts, so
 * that the compiler's message says what is wrong.
 */
export type OnlyKnownOptions<Options> = {
  readonly [Name in Exclude<keyof Options, keyof ModelSerializerOptions<object>>]: 'there is no such option';
} & {
  readonly nested?: {
    readonly [Field in Exclude<
      keyof NestedOf<Options>,
      Names<Option<Options, 'fields'>>
    >]: 'it is not among the fields';
  };
} & { readonly rights?: KnownRights<Options> };

/** Rights of shown fields, by names that the provider can return. */
type KnownRights<Options> = {
  readonly by: RightsProvider;
  readonly fields: {
    readonly [Field in RestrictedField<Options>]: Field extends
      | Exclude<Names<Option<Options, 'fields'>>, Names<Option<Options, 'writeOnly'>>>
      | Names<Option<Options, 'computed'>>
      ? RightsName<Options> | readonly RightsName<Options>[]
      : never;
  };
};

type RightsName<Options> = Options extends { readonly rights: { readonly by: infer By } } ? RightsNameOf<By> : never;

/** A field that is missing in the view of a client without the rights. */
type RestrictedField<Options> = Options extends { readonly rights: { readonly fields: infer Fields } }
  ? keyof Fields & string
  : never;

/** Carries types only; it never has a value. */
export declare const modelTypes: unique symbol;

/** The types of a serializer made by `ModelSerializer(Entity, options)`. */
export interface ModelTypes<Entity extends object, Options> {
  readonly [modelTypes]: { readonly entity: Entity; readonly options: Options };
}

/** Any serializer, or its class. */
export type SerializerLike = AnySerializer | SerializerClass;

type InstanceOf<S> = S extends Class<infer Instance> ? Instance : S;
type Names<List> = List extends readonly (infer Name extends string)[] ? Name : never;
type Option<Options, Name extends string> = Name extends keyof Options ? Options[Name] : never;
/** Not `Option<…, 'nested'>`, because the keys of never are all keys. */
type NestedOf<Options> = Options extends { readonly nested: infer Nested } ? Nested : Record<never, never>;

/** The entity that a serializer shows. */
export type EntityOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, unknown>
    ? Entity
    : InstanceOf<S> extends Serializer<infer Entity, unknown>
      ? Entity
      : never;

/** A text if the serializer is for another entity, which the compiler's message then shows. */
export type Fitting<Entity, S> = Entity extends EntityOf<S> ? unknown : 'it serializes another entity';

/** What a serializer shows, before it becomes JSON: the data of replies and events. */
export type ViewOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? WithOptional<
        RestrictedField<Options>,
        {
          [Field in ShownField<Entity, Options> | Names<Option<Options, 'computed'>>]: Field extends keyof Entity &
            ShownField<Entity, Options>
            ? FieldView<Entity[Field], NestedView<Options, Field>>
            : ComputedView<InstanceOf<S>, Field>;
        }
      >
    : InstanceOf<S> extends Serializer<never, infer View>
      ? View
      : never;

type WithOptional<Field, View> = [Field] extends [never]
  ? View
  : { [Name in Exclude<keyof View, Field>]: View[Name] } & {
        [Name in Extract<keyof View, Field>]?: View[Name];
      } extends infer Shown
    ? { [Name in keyof Shown]: Shown[Name] }
    : never;

/** What a client sends to create or update a row: JSON, with relations by key. */
export type InputOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? Options extends { readonly input: infer Other }
      ? InputOf<Other>
      : ModelInput<Entity, Options> extends infer Input
        ? { [Field in keyof Input]: Input[Field] }
        : never
    : Record<string, unknown>;

/** What validation makes of the input: dates are dates, relations are entities. */
export type DataOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? CheckedData<Entity, Options>
    : Record<string, unknown>;

/** The result of validation, by the serializer's entity and options. */
export type CheckedData<Entity, Options> = Options extends { readonly input: infer Other }
  ? DataOf<Other>
  : ModelData<Entity, Options>;

/** One object of two parts; InputOf merges them, because the compiler would print this type as it is written. */
type ModelInput<Entity, Options> = {
  [Field in Exclude<AcceptedField<Entity, Options>, OptionalField<Entity, Options>>]: FieldInput<Entity[Field]>;
} & {
  [Field in Extract<AcceptedField<Entity, Options>, OptionalField<Entity, Options>>]?: FieldInput<Entity[Field]>;
};

type ModelData<Entity, Options> = Pick<RowData<Entity>, AcceptedField<Entity, Options>>;

/** The data of a row: what the client sent, and fields that only the application may set. */
export type RowData<Entity> = { [Field in FieldOf<Entity>]?: FieldData<Entity[Field]> };

/** The type of an entity's key: an object of its parts if it has several. */
export type KeyOf<Entity> =
  KeyName<Entity> extends infer Name
    ? Name extends readonly (infer Part)[]
      ? { readonly [Field in Part & FieldOf<Entity>]: FieldView<Entity[Field]> }
      : Name extends keyof Entity
        ? FieldView<Exclude<Entity[Name], null | undefined>>
        : unknown
    : never;

type KeyName<Entity> = Entity extends { [PrimaryKeyProp]?: infer Name extends string | readonly string[] }
  ? Name
  : Extract<keyof Entity, 'id' | 'uuid' | '_id'>;

type ShownField<Entity, Options> = Exclude<Names<Option<Options, 'fields'>>, Names<Option<Options, 'writeOnly'>>> &
  FieldOf<Entity>;

type AcceptedField<Entity, Options> = Exclude<
  Names<Option<Options, 'fields'>> | Names<Option<Options, 'writeOnly'>>,
  Names<Option<Options, 'readOnly'>> | keyof NestedOf<Options>
> &
  FieldOf<Entity>;

/** Fields that may be left out. The key is one of them, because the types do not say whether the database makes it. */
type OptionalField<Entity, Options> =
  | Names<Option<Options, 'optional'>>
  | RestrictedField<Options>
  | KeyName<Entity>
  | DeclaredOptional<Entity>
  | { [Field in keyof Entity]-?: MayBeAbsent<Entity[Field]> extends false ? never : Field }[keyof Entity];

type DeclaredOptional<Entity> = Entity extends { [OptionalProps]?: infer Field } ? Field : never;

/** For a union: `boolean` if only some of its members may be absent. */
type MayBeAbsent<Value> = Value extends null | undefined | Opt.Brand | AnyCollection ? true : false;

type NestedView<Options, Field> = Field extends keyof NestedOf<Options> ? ViewOf<NestedOf<Options>[Field]> : never;

type ComputedView<S, Field> = Field extends keyof S
  ? S[Field] extends (...parameters: never) => infer View
    ? Awaited<View>
    : never
  : never;

/** How a property's value is shown: relations by key unless they are nested, binary data as base64. */
type FieldView<Value, Nested = never> = Value extends null | undefined
  ? null
  : Value extends AnyCollection<infer Item>
    ? RelatedView<Item, Nested>[]
    : Value extends AnyReference<infer Target>
      ? RelatedView<Target, Nested>
      : Value extends ScalarReference<infer Scalar>
        ? FieldView<Scalar>
        : Value extends Uint8Array
          ? string
          : IsEntity<Value> extends true
            ? RelatedView<Value, Nested>
            : Unbranded<Value>;

/** What a client sends for a property. */
export type FieldInput<Value> = Json<FieldView<Value>>;

type FieldData<Value> = Value extends undefined
  ? never
  : Value extends AnyCollection<infer Item>
    ? Item[]
    : Value extends AnyReference<infer Target> | ScalarReference<infer Target>
      ? Target
      : Unbranded<Value>;

/** The serializer of a nested relation; never for a column, because `Serializer<never>` would accept any. */
type NestedSerializer<Value> = [TargetOf<Value>] extends [never] ? never : SerializerClass<Serializer<TargetOf<Value>>>;

type RelatedView<Target, Nested> = [Nested] extends [never] ? KeyOf<Target> : Nested;

/** The entity on the other side of a relation; never if the property is no relation. */
export type TargetOf<Value> = Value extends null | undefined
  ? never
  : Value extends AnyCollection<infer Item>
    ? Item & object
    : Value extends AnyReference<infer Target>
      ? Target & object
      : IsEntity<Value> extends true
        ? Value & object
        : never;

/** The part of MikroORM's `Collection` that identifies it: comparing all of it costs the compiler much time. */
interface AnyCollection<Item = unknown> {
  getItems(check?: boolean): Item[];
}

/** The part of MikroORM's `Reference` that identifies it; a `ScalarReference` does not have it. */
interface AnyReference<Target = unknown> {
  unwrap(): Target;
  getEntity(): Target;
}

/**
 * Whether a type is an entity. Types cannot distinguish an entity from a JSON column: an object with a property named like a key counts as
 * an entity.
 */
type IsEntity<Value> = Value extends Builtin ? false : Value extends object ? HasKey<Value> : false;

type HasKey<Value> = [Extract<keyof Value, 'id' | 'uuid' | '_id' | typeof PrimaryKeyProp>] extends [never]
  ? false
  : true;

type Builtin = Date | readonly unknown[] | Callable | string | number | boolean | bigint;

/** The value without `Opt`, which brands a type; shown values have no brand. */
type Unbranded<Value> = Value extends infer Plain & Opt.Brand ? Plain : Value;
