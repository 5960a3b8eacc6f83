import { ActionNotFound, type ApiError, ParseError } from '../errors.js';
import type { ActionRequest, Reply, RequestId } from './messages.js';

/** Any JSON object that came from a client. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Far more than a request needs, and far less than it takes to overflow the stack of whoever walks through it. */
const deepest = 100;

/** @throws ParseError where the text is no JSON, or no object, or nested too deep */
export function decodeObject(text: string): JsonObject {
  const value = parse(text);
  if (!isJsonObject(value)) throw new ParseError('A frame has to be a JSON object.');
  if (isDeeperThan(deepest, value)) throw new ParseError(`A frame may be nested ${deepest} levels deep.`);
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What can be told of a request, even if it is none: a reply to a malformed one still names what it answers.
 * A request id that could not come back as it is, is answered with null.
 */
export function addressOf(payload: unknown): { action: string | null; requestId: RequestId } {
  if (!isJsonObject(payload)) return { action: null, requestId: null };
  const { action, request_id: id } = payload;
  return {
    action: typeof action === 'string' ? action : null,
    requestId: isRequestId(id) ? id : null,
  };
}

/** Takes the action's name out of a payload; what is left of it is kwargs. */
export type TakeActionName = (payload: Record<string, unknown>) => unknown;

export const takeAction: TakeActionName = (payload) => {
  const { action } = payload;
  delete payload['action'];
  return action;
};

/**
 * @throws ActionNotFound without an action
 * @throws ParseError where the payload is no object, or its action or request id has the wrong type
 */
export function toRequest(payload: unknown, takeName = takeAction): ActionRequest {
  if (!isJsonObject(payload)) throw new ParseError('A request has to be a JSON object.');
  const { request_id: id = null, ...kwargs } = payload;
  if (id !== null && !isRequestId(id)) throw new ParseError('The request_id has to be a string or a number.');
  const action = takeName(kwargs);
  if (action === undefined || action === null) throw new ActionNotFound();
  if (typeof action !== 'string') throw new ParseError('The action has to be a string.');
  return { action, requestId: id, kwargs };
}

/** JSON text of anything that JSON can show; a bigint becomes a string, undefined becomes null. */
export function encodeData(data: unknown): string {
  return JSON.stringify(data, bigintsAsText) ?? 'null';
}

/** A frame of the application's own making, JSON text already. */
export function encodeFrame(payload: string, stream?: string | null): string {
  return stream === undefined ? payload : `{"stream":${JSON.stringify(stream)},"payload":${payload}}`;
}

/** The frame of a reply, wrapped in its stream's envelope where there is one. */
export function encodeReply(reply: Reply, stream?: string | null): string {
  const errors = JSON.stringify(reply.errors);
  const action = JSON.stringify(reply.action);
  const id = JSON.stringify(reply.requestId);
  const code = reply.code === undefined ? '' : `,"code":${JSON.stringify(reply.code)}`;
  const frame = `{"errors":${errors},"data":${reply.data},"action":${action},"response_status":${reply.status},"request_id":${id}${code}}`;
  return encodeFrame(frame, stream);
}

/** The reply that tells of an error. */
export function errorReply(error: ApiError, to: { action: string | null; requestId: RequestId }): Reply {
  const { status, errors, code } = error;
  return { action: to.action, requestId: to.requestId, status, data: 'null', errors, code };
}

/** Numbers that would come back as another one are none. */
function isRequestId(id: unknown): id is string | number {
  if (typeof id !== 'number') return typeof id === 'string';
  return Number.isFinite(id) && Math.abs(id) <= Number.MAX_SAFE_INTEGER;
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeperThan(levels - 1, part));
}

/** Either the key itself, or an escape that its letters may hide behind. */
const prototypeKey = /__proto__|\\u00/;

function parse(text: string): unknown {
  try {
    // `__proto__` as an own key is legal JSON; it is dropped so that no copy of the object can take it for a prototype.
    return prototypeKey.test(text) ? JSON.parse(text, withoutPrototypeKeys) : JSON.parse(text);
  } catch {
    throw new ParseError('The frame is not valid JSON.');
  }
}

function withoutPrototypeKeys(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
