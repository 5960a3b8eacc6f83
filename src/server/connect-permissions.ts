import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ApiError } from '../errors.js';
import type { Scope } from '../scope/scope.js';
import type { CompiledRoute } from './router.js';

const none: ReadonlyMap<string, ApiError> = new Map();

/**
 * Asks the permissions to connect of every stream. Behind a demultiplexer the connection is refused only if all streams refuse.
 *
 * @param translate makes an error for the client of what a permission throws
 * @returns the streams that refuse; a promise only where a permission has to be asked
 * @throws the refusal of the only consumer, or of the first stream where all refuse
 */
export function refusalsOf(
  { consumers }: CompiledRoute,
  scope: Scope,
  translate: (thrown: unknown) => ApiError,
): Promise<ReadonlyMap<string, ApiError>> | ReadonlyMap<string, ApiError> {
  if (!(consumers instanceof Map)) {
    const { permissions } = consumers as CompiledConsumer;
    return permissions.isOpen ? none : permissions.checkConnect(scope).then(() => none);
  }
  const isOpen = [...consumers.values()].every(({ permissions }) => permissions.isOpen);
  return isOpen ? none : askEach(consumers, scope, translate);
}

async function askEach(
  consumers: ReadonlyMap<string, CompiledConsumer>,
  scope: Scope,
  translate: (thrown: unknown) => ApiError,
): Promise<ReadonlyMap<string, ApiError>> {
  const refused = new Map<string, ApiError>();
  for (const [stream, { permissions }] of consumers) {
    try {
      await permissions.checkConnect(scope);
    } catch (thrown) {
      refused.set(stream, translate(thrown));
    }
  }
  const [first] = refused.values();
  if (first && refused.size === consumers.size) throw first;
  return first ? refused : none;
}
