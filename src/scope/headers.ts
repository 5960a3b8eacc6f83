const none: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** Cookies by name. The first cookie of a name counts (RFC 6265 gives no order; servers agree on the first). */
export function cookiesOf(header: string | string[] | undefined): Readonly<Record<string, string>> {
  if (header === undefined) return none;
  const cookies: Record<string, string> = Object.create(null);
  for (const pair of [header].flat().join(';').split(';')) {
    const [name, ...rest] = pair.split('=');
    const key = name?.trim();
    if (!key || rest.length === 0 || key in cookies) continue;
    cookies[key] = decoded(
      rest
        .join('=')
        .trim()
        .replace(/^"(.*)"$/, '$1'),
    );
  }
  return cookies;
}

/** The decoded value; unchanged if its escapes are no valid text, or none that a database accepts. */
function decoded(value: string): string {
  try {
    const text = decodeURIComponent(value);
    return text.includes('\0') ? value : text;
  } catch {
    return value;
  }
}

/** A serialized origin (RFC 6454, 6.2): scheme, host and port of a web page, and nothing after them. */
const serialized = /^https?:\/\/[^/?#@\\\s,]+$/i;

/**
 * The normalized origin of a header: scheme and host in lower case (RFC 6454, 4), without the scheme's default port. Undefined for `null`,
 * for several origins, and for any other text.
 */
export function originOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string' || !serialized.test(header) || !URL.canParse(header)) return undefined;
  return new URL(header).origin;
}

/** Prefix of tokens among the subprotocols, `bearer.<token>`: browsers can set no other header of an upgrade. */
const tokenPrefix = 'bearer.';

/** The subprotocol that every route speaks, so that a client with a token can offer one beside it. */
export const standingSubprotocol = 'signalbox';

export interface OfferedSubprotocols {
  /** The offered subprotocols, the preferred one first. */
  readonly names: readonly string[];
  /** Credentials, which are never selected, because the answer would echo them. */
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
