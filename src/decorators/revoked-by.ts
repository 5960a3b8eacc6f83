import type { Class } from '../metadata.js';
import type { ObservedBy, ObserverMethod } from '../observers/model-event.js';
import type { Groups } from '../observers/observer-declaration.js';
import { revocationDeclarations } from '../observers/revocation.js';
import { Signal } from '../signals/signal.js';

/** A text where it is none, so that the compiler's complaint says so. */
type Observing<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : ObserverMethod;

/**
 * Says what the permission to follow an observer depends on. When such a row is created, changed or deleted, or the signal is
 * sent, the subscriptions in the groups that the method yields are asked again for what granted them: the permissions to
 * connect, those of the action that subscribed with its kwargs, and those of its object: a row that is not there any
 * more for a detail action has ended what was subscribed by its name.
 * One that is refused has ended. Its client is sent one error (403 `revoked`), and no event of that commit or a later one.
 *
 * ```ts
 * @RevokedBy('onMessage', () => Membership) protected *roomOfMembership({ room }: Membership) { yield `room-${room.id}`; }
 * @RevokedBy('onMessage', kicked)           protected *roomOfKick({ room }: Kick) { yield `room-${room}`; }
 * ```
 *
 * ```json
 * {"errors": ["You may no longer follow this."], "data": null, "action": "revoked", "response_status": 403, "request_id": 7, "code": "revoked"}
 * ```
 *
 * Runs once per change, before and after it, outside any connection. What the permissions said holds until then, for the setting
 * `grantTimeLimit` at the longest; the first event afterwards asks again. Where no permission could be asked, for the right
 * is checked in the code of an action, the consumer is refused at start-up.
 *
 * @param by a function, because entities and consumers may import each other; or a signal
 */
export function RevokedBy<Name extends string, Changed extends object>(
  observer: Name,
  by: (() => Class<Changed>) | Signal<Changed>,
) {
  return <Consumer extends { [Key in Name]: Observing<Consumer, Name> }, Yields extends (changed: Changed) => Groups>(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Yields>,
  ): void => {
    const owner = prototype.constructor as Class;
    const others = revocationDeclarations.isOn(owner, member) ? revocationDeclarations.read(owner).get(member) : [];
    const on = by instanceof Signal ? { signal: by as unknown as Signal<never> } : { model: by as () => Class };
    revocationDeclarations.write(prototype, member, [...(others ?? []), { observer, ...on }]);
  };
}
