/** Statuses of replies and events. They mean what their HTTP namesakes mean; 499 is "the client cancelled". */
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

/** Close codes that Signalbox sends. The 1xxx ones are RFC 6455's; 4xxx are 4000 plus the status of the reason. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  policy: 1008,
  tooBig: 1009,
  serverError: 1011,
  restart: 1012,
  slowReader: 4408,
} as const;
