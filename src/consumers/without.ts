import { declaredActions, takeActionAway } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import { toWireName } from '../wire/messages.js';
import type { ApiConsumer } from './api-consumer.js';
import type { ActionName, TakenAway } from './api-types.js';

/** The class that `without` gives to extend: the methods are there, for its own code, and are no actions. */
export type ConsumerWithout<Base extends Class<ApiConsumer>, Name extends PropertyKey> = abstract new (
  ...parameters: ConstructorParameters<Base>
) => InstanceType<Base> & { readonly [Key in Name]: TakenAway };

/**
 * A consumer without some of the actions that it inherits: no client may call them (405), and neither the client's types nor the
 * descriptions of the application have them. The methods stay, for the code of the class.
 *
 * ```ts
 * @Consumer()
 * class ArchiveConsumer extends without(RoomConsumer, 'create', 'delete') {}
 * ```
 *
 * ```json
 * {"action": "delete", "request_id": 1, "pk": 4}
 * {"errors": ["Method \"delete\" not allowed."], "data": null, "action": "delete", "response_status": 405, "request_id": 1, "code": "action_not_found"}
 * ```
 *
 * @throws ConfigurationError where the class is defined, for a method that is no action of the class
 */
export function without<Base extends Class<ApiConsumer>, const Name extends ActionName<InstanceType<Base>>>(
  base: Base,
  ...members: readonly [Name, ...Name[]]
): ConsumerWithout<Base, Name> {
  abstract class Without extends (base as Class) {}
  const actions = [...declaredActions(base).keys()];
  for (const member of members.map(String)) {
    if (!actions.includes(member)) throw noSuchAction(base, member, actions);
    takeActionAway(Without, member);
  }
  return Without as unknown as ConsumerWithout<Base, Name>;
}

function noSuchAction({ name }: Class, member: string, actions: readonly string[]): ConfigurationError {
  const named = actions.find((action) => toWireName(action) === member);
  const there = actions.length > 0 ? `There are: ${actions.join(', ')}.` : 'There is none.';
  return new ConfigurationError({
    class: `without(${name})`,
    member,
    reason: 'is to be taken away, and is no action of the class.',
    remedy: named ? `Name the method: '${named}'.` : `Correct or drop the name. ${there}`,
  });
}
