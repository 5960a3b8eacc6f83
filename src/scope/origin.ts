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
