import { ActionNotFound, type ApiError, ParseError } from '../errors.js';
import { defaultSettings } from '../settings.js';
import { Status } from '../status.js';
import { checkJson, type JsonLimits } from './json-guard.js';
import type { ActionRequest, Reply, RequestId } from './messages.js';

/** Any JSON object that came from a client. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface Frame {
  readonly frame: JsonObject;
  /** Why the frame is refused; then the frame only has the facts that the answer needs. */
  readonly refusal: ParseError | undefined;
  /** The number of keys, strings, numbers and signs in the text: the measure of what reading it costs. */
  readonly signs: number;
  /** The answer, if the frame is a ping. */
  readonly pong: Reply | undefined;
}

/** Reads a frame. A text that is no JSON object gives a frame that is refused. */
export function readFrame(text: string, limits: JsonLimits = defaultSettings.limits): Frame {
  const checked = check(text, limits);
  const value = parse(text);
  if (isJsonObject(value)) return { frame: value, pong: pongTo(value), ...checked };
  const notJson = value === undefined ? new ParseError('The frame is not valid JSON.') : undefined;
  const refusal = notJson ?? checked.refusal ?? new ParseError('A frame has to be a JSON object.');
  return { frame: {}, pong: undefined, refusal, signs: checked.signs };
}

function check(text: string, limits: JsonLimits): Pick<Frame, 'refusal' | 'signs'> {
  try {
    return { refusal: undefined, signs: checkJson(text, limits) };
  } catch (error) {
    // The guard has stopped at the error, but `JSON.parse` reads the whole text.
    if (error instanceof ParseError) return { refusal: error, signs: text.length };
    throw error;
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The action and the request id of a frame, also of an invalid one, so that its error reply names what it answers. A request id that could
 * not be returned unchanged is answered with null.
 */
export function addressOf(
  payload: unknown,
  longestId = defaultSettings.limits.requestIdLength,
): { action: string | null; requestId: RequestId } {
  if (!isJsonObject(payload)) return { action: null, requestId: null };
  const { action, request_id: id } = payload;
  return {
    action: typeof action === 'string' ? action : null,
    requestId: isSafeRequestId(id) && !isLonger(id, longestId) ? id : null,
  };
}

/** Takes the action's name out of a payload; the rest is kwargs. */
export type TakeActionName = (payload: Record<string, unknown>) => unknown;

export const takeAction: TakeActionName = (payload) => {
  const { action } = payload;
  delete payload['action'];
  return action;
};

/**
 * @throws ActionNotFound without an action
 * @throws ParseError if the payload is no object, if its action or request id has the wrong type, or if the id is too long
 */
export function toRequest(
  payload: unknown,
  takeName?: TakeActionName,
  longestId = defaultSettings.limits.requestIdLength,
): ActionRequest {
  if (!isJsonObject(payload)) throw new ParseError('A request has to be a JSON object.');
  const { action, id, kwargs } = takeName ? takeNamed(payload, takeName) : takeApart(payload);
  if (id !== null && !isSafeRequestId(id)) throw new ParseError('The request_id has to be a string or a number.');
  if (isLonger(id, longestId)) throw new ParseError(`The request_id may have at most ${longestId} characters.`);
  if (action === undefined || action === null) throw new ActionNotFound();
  if (typeof action !== 'string') throw new ParseError('The action has to be a string.');
  return { action, requestId: id, kwargs };
}

interface RequestParts {
  readonly action: unknown;
  readonly id: unknown;
  readonly kwargs: JsonObject;
}

/** Copies instead of deleting: an object with deleted properties takes several times the memory, for as long as a subscription keeps it. */
function takeApart({ action, request_id: id = null, ...kwargs }: JsonObject): RequestParts {
  return { action, id, kwargs };
}

function takeNamed({ request_id: id = null, ...kwargs }: JsonObject, takeName: TakeActionName): RequestParts {
  return { action: takeName(kwargs), id, kwargs };
}

/** The JSON text of data. A bigint becomes a string, undefined becomes null. */
export function encodeData(data: unknown): string {
  try {
    return JSON.stringify(data) ?? 'null';
  } catch (error) {
    // A replacer leaves the fast path of V8, and bigints are rare.
    if (error instanceof TypeError) return JSON.stringify(data, bigintsAsText) ?? 'null';
    throw error;
  }
}

/** The depth up to which data are checked here; deeper data go to the serializers, which know entities. */
const plainDepth = 32;

/** Whether JSON shows a value unchanged: it contains no promises, entities or other instances of classes. */
export function isPlainData(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function';
  if (depth > plainDepth) return false;
  if (Array.isArray(value)) return value.every((item) => isPlainData(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const name in value) if (!isPlainData(Reflect.get(value, name), depth + 1)) return false;
  return true;
}

/** A frame of the application's own payload, which is JSON text already. */
export function encodeFrame(payload: string, stream?: string | null): string {
  return stream === undefined ? payload : `{"stream":${JSON.stringify(stream)},"payload":${payload}}`;
}

/** The frame of a reply, in the envelope of its stream if it has one. */
export function encodeReply(reply: Reply, stream?: string | null): string {
  const { requestId, code } = reply;
  const id = typeof requestId === 'string' ? JSON.stringify(requestId) : String(requestId);
  const end = stream === undefined ? '}' : '}}';
  const told = code === undefined ? '' : `,"code":${JSON.stringify(code)}`;
  return headOf(reply, stream) + id + told + end;
}

/** A frame without its request id, the only part that differs when one event goes to many subscriptions. */
interface Head extends Pick<Reply, 'action' | 'data' | 'status'> {
  readonly stream: string | null | undefined;
  readonly text: string;
}

let lastHead: Head | undefined;

function headOf({ action, data, status, errors }: Reply, stream: string | null | undefined): string {
  if (errors.length > 0) return encodeHead(action, data, status, JSON.stringify(errors), stream);
  const last = lastHead;
  if (last?.data === data && last.action === action && last.status === status && last.stream === stream)
    return last.text;
  const text = encodeHead(action, data, status, '[]', stream);
  lastHead = { action, data, status, stream, text };
  return text;
}

function encodeHead(
  action: string | null,
  data: string,
  status: number,
  errors: string,
  stream: string | null | undefined,
): string {
  const envelope = stream === undefined ? '' : `{"stream":${JSON.stringify(stream)},"payload":`;
  return `${envelope}{"errors":${errors},"data":${data},"action":${JSON.stringify(action)},"response_status":${status},"request_id":`;
}

/** The error reply for an error. */
export function errorReply(error: ApiError, to: { action: string | null; requestId: RequestId }): Reply {
  const { status, errors, code, retryAfter } = error;
  const data = retryAfter === undefined ? 'null' : `{"retry_after_ms":${Math.ceil(retryAfter)}}`;
  return { action: to.action, requestId: to.requestId, status, data, errors, code };
}

/** Whether the value is a valid request id; numbers that JSON would return changed are not. */
function isSafeRequestId(id: unknown): id is string | number {
  if (typeof id !== 'number') return typeof id === 'string';
  return Number.isFinite(id) && Math.abs(id) <= Number.MAX_SAFE_INTEGER;
}

function isLonger(id: RequestId, longest: number): boolean {
  return typeof id === 'string' && id.length > longest;
}

/** @returns undefined if the text is no JSON */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/**
 * The answer to `{"action": "ping"}`, with or without a request id; undefined for other frames. Browsers cannot see the pings of WebSocket,
 * so they check the connection with it. It needs no stream and no consumer, and does not wait.
 */
function pongTo(frame: JsonObject): Reply | undefined {
  if (frame['action'] !== 'ping' || Object.keys(frame).some((key) => key !== 'action' && key !== 'request_id')) return;
  return { ...addressOf(frame), status: Status.ok, data: 'null', errors: [] };
}
