// The frames that specs expect, with all of their keys. The request has the id 1 where it is not named.

/** The reply of a success. */
export function reply(action: string | null, data: unknown, request_id: unknown = 1, response_status = 200) {
  return { errors: [], data, action, response_status, request_id };
}

/** The reply of a success without data. */
export function done(action: string, response_status: number, request_id: unknown = 1) {
  return reply(action, null, request_id, response_status);
}

/** The reply of an error with one sentence, or with one object of sentences by field. */
export function failure(
  action: string | null,
  response_status: number,
  code: string,
  error: unknown,
  request_id: unknown = 1,
) {
  return { errors: [error], data: null, action, response_status, request_id, code };
}

export function notFound(action: string, request_id: unknown = 1) {
  return failure(action, 404, 'not_found', 'Not found.', request_id);
}

export function invalid(action: string, fields: object, request_id: unknown = 1) {
  return failure(action, 400, 'validation_failed', fields, request_id);
}

/** An event of a subscription, which bears the id of the request that subscribed. */
export function event(action: string, data: unknown, request_id: string | number | null = 1) {
  return reply(action, data, request_id, action === 'delete' ? 204 : 200);
}

export function deleted(request_id: string | number | null, pk: number | string) {
  return event('delete', { pk }, request_id);
}

export function subscribed(request_id: unknown) {
  return done('subscribe_instance', 201, request_id);
}

export function unsubscribed(request_id: unknown) {
  return done('unsubscribe_instance', 204, request_id);
}

/** Ends a subscription of which the server will tell nothing more. */
export function revoked(request_id: string | number) {
  return failure('revoked', 403, 'revoked', 'You may no longer follow this.', request_id);
}
