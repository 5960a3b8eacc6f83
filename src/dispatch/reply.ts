import { inspect } from 'node:util';
import { ConfigurationError } from '../errors.js';
import type { EntityOf, SerializerLike, ViewOf } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { Status } from '../status.js';

/** The result of an action with a status or a serializer of its own. */
export class ActionReply<View = unknown> {
  /** Carries the type of the data that the client gets. */
  declare readonly view: View;

  /** @throws ConfigurationError for a status that no final reply can have */
  constructor(
    /** The value that the reply shows. */
    readonly data: unknown,
    /** The status of the reply. Default: that of the action. */
    readonly status?: number,
    /** The serializer that shows the data. Default: that of the action. */
    readonly serializer?: SerializerClass,
  ) {
    if (status !== undefined) checkFinalStatus(status, 'reply');
  }
}

/**
 * Checks a status before it goes into a frame; after a 206, clients would wait for more frames.
 *
 * @param place where the status was given
 * @throws ConfigurationError
 */
export function checkFinalStatus(status: unknown, place: string, member?: string): void {
  const isFinal = Number.isInteger(status) && Number(status) >= 200 && Number(status) <= 599;
  if (isFinal && status !== Status.partial) return;
  throw new ConfigurationError({
    class: place,
    ...(member !== undefined && { member }),
    reason: `has the status ${inspect(status)}, which is not a status of a final reply.`,
    remedy: 'Give a whole number from 200 to 599, but not 206: that is a part, and a generator yields those.',
  });
}

/**
 * The result of an action that needs more than data.
 *
 * ```ts
 * return reply({ queued: true }, { status: 202 });
 * return reply(message, { serializer: MessageSerializer });   // typed as the serializer's view
 * ```
 *
 * @throws ConfigurationError for a status that no final reply can have: after a 206, clients would wait for more frames
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
