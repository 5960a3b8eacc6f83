import type { Class } from '../metadata.js';
import type { BaseModelConsumer, ModelConsumerClass } from './model-consumer.js';
import type { AnyModelOptions, TraitsOf } from './model-options.js';

/** The types that a mixin's actions may use: the entity, the serializer's class and the options. Unknown until the mixin is applied. */
export interface MixinModel {
  /** The entity. */
  readonly model: unknown;
  /** The class of the serializer. */
  readonly serializer: unknown;
  /** The traits of the options: `ModelTraits`. */
  readonly traits: unknown;
}

/** The types of one entity's consumer for its mixins. */
export interface MixedInto<Entity, Options extends AnyModelOptions> extends MixinModel {
  /** The entity. */
  readonly model: Entity;
  /** The class of the serializer. */
  readonly serializer: Options['serializer'];
  /** The traits of the options. */
  readonly traits: TraitsOf<Options>;
}

/**
 * The types of a mixin: `actions` may refer to `this['on']`, the consumer that it is mixed into.
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
  /** The consumer that the mixin is mixed into; refer to it as `this['on']`. */
  readonly on: MixinModel;
  /** The methods that the mixin adds. */
  readonly actions: object;
}

/** The class that a mixin extends: a model consumer of any entity, with any options. */
// biome-ignore lint/suspicious/noExplicitAny: inside a mixin the model is not known; outside, its types are
export type MixinBase = abstract new (...parameters: any[]) => BaseModelConsumer<object, AnyModelOptions>;

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

/** The type of the class that `mix` returns: a model consumer with the actions of its mixins. */
export type MixedConsumerClass<
  Entity extends object,
  Options extends AnyModelOptions,
  Mixins extends readonly Mixin<never>[],
> = abstract new () => BaseModelConsumer<Entity, Options> & Mixed<Mixins, MixedInto<Entity, Options>>;

/**
 * Makes a model consumer with the actions of its mixins, and no others: other actions exist neither in the type nor on the wire. Actions
 * can be overridden, and `super` calls the overridden one.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve) {}
 * ```
 */
export function mix<Entity extends object, Options extends AnyModelOptions, Mixins extends readonly Mixin<never>[]>(
  base: ModelConsumerClass<Entity, Options>,
  ...mixins: Mixins
): MixedConsumerClass<Entity, Options, Mixins> {
  const mixed = mixins.reduce<Class>((current, mixin) => mixin(current as MixinBase), base);
  return mixed as MixedConsumerClass<Entity, Options, Mixins>;
}
