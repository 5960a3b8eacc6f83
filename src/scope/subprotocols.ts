/** Browsers can set no header of an upgrade but this one, so that tokens travel in it: `bearer.<token>`. */
const tokenPrefix = 'bearer.';

/** The one that every route speaks, so that a client with a token has something to offer beside it. */
export const standingSubprotocol = 'signalbox';

export interface OfferedSubprotocols {
  /** What the client offers to speak, the preferred one first. */
  readonly names: readonly string[];
  /** Credentials, which are never agreed on: the answer would echo them. */
  readonly tokens: readonly string[];
}

/** @param header `Sec-WebSocket-Protocol` */
export function offeredSubprotocols(header: string | string[] | undefined): OfferedSubprotocols {
  const offered = [header ?? ''].flat().join(',').split(',');
  const all = offered.map((name) => name.trim()).filter((name) => name !== '');
  return {
    names: all.filter((name) => !isToken(name)),
    tokens: all.filter(isToken).map((name) => name.slice(tokenPrefix.length)),
  };
}

function isToken(name: string): boolean {
  return name.startsWith(tokenPrefix);
}
