import { declaredActions, takeActionAway } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import { toWireName } from '../wire/messages.js';
import type { ApiConsumer } from './api-consumer.js';
import type { ActionName, TakenAway } from './api-types.js';

/** The type of the class that `without` returns: its methods can be called by its own code, but are no actions. */
export type ConsumerWithout<Base extends Class<ApiConsumer>, Name extends PropertyKey> = abstract new (
  ...parameters: ConstructorParameters<Base>
) => InstanceType<Base> & { readonly [Key in Name]: TakenAway };

/**
 * Makes a consumer without some of the actions that it inherits: clients may not call them (405), and neither clients' types nor
 * descriptions of the application show them. The methods stay, for the code of the class.
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
 * @throws ConfigurationError when the class is defined, for a method that is no action of the class
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
    reason: 'is to be removed, but is not an action of the class.',
    remedy: named ? `Name the method: '${named}'.` : `Correct or drop the name. ${there}`,
  });
}
