/** Statuses of replies and events, with the meanings of HTTP; 499 means that the client cancelled. */
export const Status = {
  ok: 200,
  created: 201,
  noContent: 204,
  partial: 206,
  badRequest: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  conflict: 409,
  gone: 410,
  tooManyRequests: 429,
  cancelled: 499,
  serverError: 500,
  unavailable: 503,
  timeLimit: 504,
} as const;

/** Close codes that Signalbox sends. Codes 1xxx are RFC 6455's; 4xxx are 4000 plus the status of the reason. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  policy: 1008,
  tooBig: 1009,
  serverError: 1011,
  restart: 1012,
  /** Too much for too long. A client waits for ten seconds or more before it reconnects. */
  overloaded: 1013,
  /** The user has logged out, or the login has expired. A client gets a fresh token and tries once more. */
  unauthenticated: 4401,
  /** The logged-in user may no longer connect. A client stops. */
  forbidden: 4403,
  slowReader: 4408,
} as const;

/** The close code of a connection that is refused after its handshake. */
export function closeCodeOf({ status }: { readonly status: number }): number {
  if (status === Status.unauthorized) return CloseCode.unauthenticated;
  return status === Status.forbidden ? CloseCode.forbidden : CloseCode.serverError;
}

/** The longest close reason, in bytes of UTF-8. */
export const longestReason = 123;

/** @throws RangeError for a reason that is too long for a close frame */
export function checkReason(reason: string): void {
  if (Buffer.byteLength(reason) > longestReason)
    throw new RangeError(`The reason of a close is at most ${longestReason} bytes long.`);
}

/** The beginning of a text, cut to the longest close reason. */
export function toReason(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(longestReason));
  return text.slice(0, read);
}
