import type { Class } from '../metadata.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { BaseModelConsumer } from './model-consumer.js';
import type { ModelTraits, PlainTraits } from './model-options.js';

/** What a mixin's actions are typed by: the entity, the serializer's class, and the options. Unknown until it is mixed in. */
export interface MixinModel {
  readonly model: unknown;
  readonly serializer: unknown;
  readonly traits: unknown;
}

export interface MixedInto<Entity, S, Traits = PlainTraits> extends MixinModel {
  readonly model: Entity;
  readonly serializer: S;
  readonly traits: Traits;
}

/**
 * The types of a mixin: `actions` may refer to `this['on']`, which is what it is mixed into.
 *
 * ```ts
 * interface TouchActions<Row> { touch(row: Row, context: ActionContext): Promise<Row> }
 * interface TouchTypes extends MixinTypes { readonly actions: TouchActions<this['on']['model']> }
 * const Touch: Mixin<TouchTypes> = (base) => {
 *   abstract class Touching extends base { @DetailAction() async touch(row: object, _context: ActionContext) { … } }
 *   return Touching;
 * };
 * ```
 */
export interface MixinTypes {
  readonly on: MixinModel;
  readonly actions: object;
}

// biome-ignore lint/suspicious/noExplicitAny: inside a mixin the model is not known; outside, its types are
export type MixinBase = abstract new (...parameters: any[]) => BaseModelConsumer<object, SerializerClass, ModelTraits>;

/** A function from a model consumer to one with more actions. The phantom second parameter carries its types. */
export type Mixin<Types extends MixinTypes> = (base: MixinBase, types?: Types) => Class;

type ActionsOf<Types, On extends MixinModel> = Types extends MixinTypes
  ? (Types & { readonly on: On })['actions']
  : never;

type All<Union> = (Union extends unknown ? (member: Union) => void : never) extends (member: infer Each) => void
  ? Each
  : never;

type Mixed<Mixins extends readonly Mixin<never>[], On extends MixinModel> = All<
  { [Index in keyof Mixins]: Mixins[Index] extends Mixin<infer Types> ? ActionsOf<Types, On> : never }[number]
>;

/**
 * A model consumer with the actions of its mixins, and no others: what is not mixed in exists neither in the type nor on
 * the wire. They can be overridden, and `super` calls what is overridden.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve) {}
 * ```
 */
export function mix<
  Entity extends object,
  S extends SerializerClass,
  Traits extends ModelTraits,
  const Mixins extends readonly Mixin<never>[],
>(
  base: abstract new () => BaseModelConsumer<Entity, S, Traits>,
  ...mixins: Mixins
): abstract new () => BaseModelConsumer<Entity, S, Traits> & Mixed<Mixins, MixedInto<Entity, S, Traits>> {
  const mixed = mixins.reduce<Class>((current, mixin) => mixin(current as MixinBase), base);
  return mixed as ReturnType<typeof mix<Entity, S, Traits, Mixins>>;
}
