import type { EntityOf, SerializerLike, ViewOf } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';

/** A result with a status or a serializer of its own. */
export class ActionReply<View = unknown> {
  /** Carries the type of what the client gets. */
  declare readonly view: View;

  constructor(
    readonly data: unknown,
    readonly status?: number,
    readonly serializer?: SerializerClass,
  ) {}
}

/**
 * What an action returns where data alone say too little.
 *
 * ```ts
 * return reply({ queued: true }, { status: 202 });
 * return reply(message, { serializer: MessageSerializer });   // typed as the serializer's view
 * ```
 */
export function reply<View>(data: View, options: { readonly status: number }): ActionReply<View>;
export function reply<S extends SerializerClass & SerializerLike>(
  entities: readonly EntityOf<S>[],
  options: { readonly serializer: S; readonly status?: number },
): ActionReply<ViewOf<S>[]>;
export function reply<S extends SerializerClass & SerializerLike>(
  entity: EntityOf<S>,
  options: { readonly serializer: S; readonly status?: number },
): ActionReply<ViewOf<S>>;
export function reply(
  data: unknown,
  options: { readonly status?: number; readonly serializer?: SerializerClass },
): ActionReply {
  return new ActionReply(data, options.status, options.serializer);
}
