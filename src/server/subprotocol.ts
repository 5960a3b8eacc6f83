import { ConfigurationError, ParseError } from '../errors.js';
import type { Scope } from '../scope/scope.js';
import { offeredSubprotocols, standingSubprotocol } from '../scope/subprotocols.js';
import type { CompiledRoute } from './router.js';

/**
 * Browsers cut a socket whose server agrees on none of the subprotocols that they offered, and on one that they did not
 * offer. So whoever offers some is given one of them, or told why not while there is still an answer. A token is never
 * agreed on, because the answer would echo it.
 *
 * @throws ParseError (400) where all that is offered is foreign to the consumers of the route, or a token
 */
export function agreedSubprotocol(scope: Scope, route: CompiledRoute): string | undefined {
  const { subprotocols: offered, subprotocol: chosen } = scope;
  if (chosen !== undefined) return checkOffered(chosen, offered);
  const [preferred] = offered;
  const spoken = spokenAt(route);
  if (preferred === undefined) return checkNoToken(scope);
  if (spoken.length === 0) return preferred;
  const agreed = [...spoken, standingSubprotocol].find((subprotocol) => offered.includes(subprotocol));
  if (agreed !== undefined) return agreed;
  throw new ParseError(`None of the offered subprotocols is spoken here. There are: ${spoken.join(', ')}.`);
}

function checkNoToken({ headers }: Scope): undefined {
  if (offeredSubprotocols(headers['sec-websocket-protocol']).tokens.length === 0) return;
  throw new ParseError(`Offer a subprotocol beside the token, such as ${standingSubprotocol}.`);
}

function checkOffered(chosen: string, offered: readonly string[]): string {
  if (offered.includes(chosen)) return chosen;
  throw new ConfigurationError({
    class: 'Scope',
    member: 'subprotocol',
    reason: `a middleware chose "${chosen}", which the client does not offer.`,
    remedy: 'Choose one of scope.subprotocols, or none.',
  });
}

/** Behind a demultiplexer, those of all streams. */
function spokenAt({ consumers }: CompiledRoute): readonly string[] {
  const all = consumers instanceof Map ? [...consumers.values()] : [consumers];
  return all.flatMap(({ options }) => options.subprotocols ?? []);
}
