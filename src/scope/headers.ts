const none: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** The first cookie of a name wins (RFC 6265 gives no order; servers agree on the first). */
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

/** As it came where its escapes mean no text, or none that a database takes. */
function decoded(value: string): string {
  try {
    const text = decodeURIComponent(value);
    return text.includes('\0') ? value : text;
  } catch {
    return value;
  }
}

/** A serialized origin (RFC 6454, 6.2): scheme, host and port of a web page, nothing behind them. */
const serialized = /^https?:\/\/[^/?#@\\\s,]+$/i;

/**
 * The origin that a header names, normalized: scheme and host are compared without their case (RFC 6454, 4), a port that is
 * the scheme's own is left out. Undefined for `null`, for several in one header, for anything else.
 */
export function originOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string' || !serialized.test(header) || !URL.canParse(header)) return undefined;
  return new URL(header).origin;
}

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
