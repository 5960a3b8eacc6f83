import type { Collection, Opt, OptionalProps, Primary, Reference } from '@mikro-orm/core';
import type { Class } from '../metadata.js';
import type { AnySerializer, Serializer, SerializerClass } from './serializer.js';

export interface ModelSerializerOptions<Entity> {
  /** What is shown, and accepted unless it is read-only. */
  readonly fields: readonly FieldOf<Entity>[];
  /** Shown only. Keys that the database makes, versions and generated columns are so anyway. */
  readonly readOnly?: readonly FieldOf<Entity>[];
  /** Accepted only. */
  readonly writeOnly?: readonly FieldOf<Entity>[];
  /** May be left out on create although its column has no default that the entity's type shows. */
  readonly optional?: readonly FieldOf<Entity>[];
  /** Relations shown by a serializer of their own instead of by key. They are read-only. */
  readonly nested?: { readonly [Field in FieldOf<Entity>]?: SerializerClass };
  /** Fields that are public methods of the serializer: `lastMessage(room: Room, context: SerializerContext)`. */
  readonly computed?: readonly string[];
  /** Relations that computed fields read. */
  readonly populate?: readonly string[];
}

export type FieldOf<Entity> = Extract<keyof Entity, string>;

/** Carries types only; no value is ever there. */
export declare const modelTypes: unique symbol;

/** A serializer made by `ModelSerializer(Entity, options)`. */
export interface ModelTypes<Entity extends object, Options> {
  readonly [modelTypes]: { readonly entity: Entity; readonly options: Options };
}

type InstanceOf<S> = S extends Class<infer Instance> ? Instance : S;
type Names<List> = List extends readonly (infer Name extends string)[] ? Name : never;
type Option<Options, Name extends string> = Name extends keyof Options ? Options[Name] : never;

/** The entity that a serializer shows. */
export type EntityOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, unknown>
    ? Entity
    : InstanceOf<S> extends Serializer<infer Entity, unknown>
      ? Entity
      : never;

/** What a serializer shows: the type of replies and events. */
export type ViewOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? Flat<
        { [Field in ShownField<Entity, Options>]: FieldView<Entity[Field], NestedView<Options, Field>> } & {
          [Field in Names<Option<Options, 'computed'>>]: ComputedView<InstanceOf<S>, Field>;
        }
      >
    : InstanceOf<S> extends Serializer<never, infer View>
      ? View
      : never;

/** What a client sends to create or update. */
export type InputOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? Flat<
        {
          [Field in Exclude<AcceptedField<Entity, Options>, OptionalField<Entity, Options>>]: FieldInput<Entity[Field]>;
        } & {
          [Field in Extract<AcceptedField<Entity, Options>, OptionalField<Entity, Options>>]?: FieldInput<
            Entity[Field]
          >;
        }
      >
    : Record<string, unknown>;

/** What is left of it after validation: dates are dates, relations are entities. */
export type DataOf<S> =
  InstanceOf<S> extends ModelTypes<infer Entity, infer Options>
    ? {
        [Field in AcceptedField<Entity, Options>]?: Entity[Field] extends Collection<infer Item>
          ? Item[]
          : Entity[Field];
      }
    : Record<string, unknown>;

type Flat<T> = { [Key in keyof T]: T[Key] };

type ShownField<Entity, Options> = Exclude<Names<Option<Options, 'fields'>>, Names<Option<Options, 'writeOnly'>>> &
  keyof Entity;

type AcceptedField<Entity, Options> = Exclude<
  Names<Option<Options, 'fields'>> | Names<Option<Options, 'writeOnly'>>,
  Names<Option<Options, 'readOnly'>> | Extract<keyof Option<Options, 'nested'>, string>
> &
  keyof Entity;

type OptionalField<Entity, Options> =
  | Names<Option<Options, 'optional'>>
  | DeclaredOptional<Entity>
  | { [Field in keyof Entity]-?: MayBeAbsent<Entity[Field]> extends true ? Field : never }[keyof Entity];

type DeclaredOptional<Entity> = Entity extends { [OptionalProps]?: infer Field } ? Field : never;

type MayBeAbsent<Value> = undefined extends Value
  ? true
  : null extends Value
    ? true
    : Value extends Opt.Brand
      ? true
      : Value extends Collection<infer _>
        ? true
        : false;

type NestedView<Options, Field> = Field extends keyof Option<Options, 'nested'>
  ? ViewOf<Option<Options, 'nested'>[Field]>
  : never;

type ComputedView<S, Field> = Field extends keyof S
  ? S[Field] extends (...parameters: never) => infer View
    ? Awaited<View>
    : never
  : never;

type FieldView<Value, Nested> = Value extends null | undefined
  ? null
  : Value extends Collection<infer Item>
    ? [Nested] extends [never]
      ? KeyOf<Item>[]
      : Nested[]
    : Value extends Reference<infer Target>
      ? [Nested] extends [never]
        ? KeyOf<Target>
        : Nested
      : [Nested] extends [never]
        ? ScalarOrKey<Value>
        : Nested;

type FieldInput<Value> = Value extends null | undefined
  ? null
  : Value extends Collection<infer Item>
    ? KeyOf<Item>[]
    : Value extends Reference<infer Target>
      ? KeyOf<Target>
      : ScalarOrKey<Value>;

type ScalarOrKey<Value> = Value extends Date | bigint | number | string | boolean
  ? Unbranded<Value>
  : Value extends readonly unknown[]
    ? Value
    : Value extends { id: unknown } | { uuid: unknown } | { _id: unknown }
      ? KeyOf<Value>
      : Value;

/** `Opt` brands a type; what is shown has no brand. */
type Unbranded<Value> = Value extends Opt.Brand
  ? Value extends number
    ? number
    : Value extends string
      ? string
      : Value extends boolean
        ? boolean
        : Value extends bigint
          ? bigint
          : Date
  : Value;

/** The type of an entity's key, in the form in which JSON carries it. */
export type KeyOf<Entity> = Unbranded<Primary<Entity>> extends infer Key ? (Key extends object ? Key : Key) : never;

/** Any serializer, or its class. */
export type SerializerLike = AnySerializer | SerializerClass;
