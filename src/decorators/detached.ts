import { isAsyncFunction } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import { MemberMetadata } from '../metadata.js';

/** Which methods run on their own. */
export const detachedDeclarations = new MemberMetadata<true>('detached');

/**
 * A method that runs in the background: its caller goes on at once, and awaiting it waits for nothing. Called from an
 * action, it begins when the action has been answered, so that it sees what was committed; of an action that failed it does
 * not begin. `this.signal` is aborted when the connection or the stream ends, or the server closes. What it throws is logged.
 *
 * ```ts
 * @Action() async watch() { await this.poll(); return 'watching'; }
 *
 * @Detached() protected async poll() {
 *   for await (const price of this.prices.stream({ signal: this.signal })) this.sendJson({ price });
 * }
 * ```
 *
 * @throws ConfigurationError where the class is defined, for a method that is not async
 */
export function Detached() {
  return <Method extends (...parameters: never) => Promise<void>>(
    prototype: object,
    member: string,
    { value }: TypedPropertyDescriptor<Method>,
  ): void => {
    checkAsync(prototype, member, value);
    detachedDeclarations.write(prototype, member, true);
  };
}

/** @throws ConfigurationError for a method that would hold up its caller */
export function checkAsync(prototype: object, member: string, method: unknown): void {
  if (isAsyncFunction(method)) return;
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: 'is detached, and no async function: it would hold up everybody until it returned.',
    remedy: 'Make it async.',
  });
}
