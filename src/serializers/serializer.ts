import type { ConcreteClass } from '../metadata.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import type { ActionContext } from '../scope/action-context.js';

/** The context in which a serializer works. */
export interface SerializerContext {
  /** The entity manager of the action or of the event. */
  readonly unitOfWork: UnitOfWork;
  /** The request that the serializer works for; undefined for an event, which is serialized once for all receivers. */
  readonly request?: ActionContext;
  /** The rights by which fields are shown; a provider that is missing in it grants none. In a request, its rights are asked for. */
  readonly rights?: GivenRights;
  /** The consumer that answers the request. */
  readonly consumer?: object;
  /** Called with sent keys that the serializer does not accept; undefined in production. */
  noteDropped?(serializer: string, keys: readonly string[]): void;
  /** Returns an instance of another serializer from the container. */
  resolve<T>(serializer: ConcreteClass<T>): T;
}

/**
 * Converts an entity into plain data. An application extends it where `ModelSerializer` does not fit:
 *
 * ```ts
 * @injectable()
 * class RoomName extends Serializer<Room, { name: string }> {
 *   toData(room: Room) { return { name: room.name }; }
 * }
 * ```
 */
export abstract class Serializer<Entity extends object = object, View = unknown> {
  /**
   * Called for each row of a reply. For an event, it is called once per change and combination of rights, for all receivers; then
   * `context.request` is undefined.
   *
   * @returns plain data that JSON can show
   */
  abstract toData(entity: Entity, context: SerializerContext): View | Promise<View>;

  /** Relations to load before `toData`, as MikroORM names them: `user`, `tags:ref`. Default: none. */
  pathsToLoad(_context: SerializerContext): readonly string[] {
    return [];
  }
}

// biome-ignore lint/suspicious/noExplicitAny: parameters of methods are bivariant, a type parameter is not; `any` fits every entity
export type AnySerializer = Serializer<any, unknown>;
/** A serializer class, for the options `serializer` and `reply`: the container makes an instance. */
export type SerializerClass<S extends AnySerializer = AnySerializer> = ConcreteClass<S>;

export function isSerializerClass(value: unknown): value is SerializerClass {
  return typeof value === 'function' && value.prototype instanceof Serializer;
}
