import type { ConcreteClass } from '../metadata.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import type { ActionContext } from '../scope/action-context.js';

/** What a serializer may need to know of where it works. */
export interface SerializerContext {
  /** The entity manager of the action or of the event. */
  readonly unitOfWork: UnitOfWork;
  /** The request it works for; none when an event is serialized, once for all who will receive it. */
  readonly request?: ActionContext;
  /** The rights that it is shown by; a provider that is not in it gives none. The request is asked for them where there is one. */
  readonly rights?: GivenRights;
  /** The consumer that answers it. */
  readonly consumer?: object;
  /** Called with the keys that came and that the serializer does not accept; absent in production. */
  noteDropped?(serializer: string, keys: readonly string[]): void;
  /** An instance of another serializer. */
  resolve<T>(serializer: ConcreteClass<T>): T;
}

/**
 * Entity -> plain data. An application extends it where `ModelSerializer` does not fit:
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
   * Called for each row of a reply, and once per change and right for all who receive the event: then `context.request` is
   * undefined.
   *
   * @returns plain data that JSON can show
   */
  abstract toData(entity: Entity, context: SerializerContext): View | Promise<View>;

  /** Relations to load before `toData`, as MikroORM names them: `user`, `tags:ref`. */
  pathsToLoad(_context: SerializerContext): readonly string[] {
    return [];
  }
}

// biome-ignore lint/suspicious/noExplicitAny: parameters of methods are bivariant, a type parameter is not; `any` fits every entity
export type AnySerializer = Serializer<any, unknown>;
/** What the options `serializer` and `reply` take: the container makes an instance. */
export type SerializerClass<S extends AnySerializer = AnySerializer> = ConcreteClass<S>;

export function isSerializerClass(value: unknown): value is SerializerClass {
  return typeof value === 'function' && value.prototype instanceof Serializer;
}
