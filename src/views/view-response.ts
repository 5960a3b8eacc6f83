import { MIMEType, TextDecoder } from 'node:util';
import { ApiError, type ErrorDetail } from '../errors.js';
import { Status } from '../status.js';
import { isJsonObject } from '../wire/codec.js';

/** The view answered with a status of 400 or more. The error has that status, and the texts of the view's answer. */
export class ViewFailed extends ApiError {
  static override readonly code = 'view_failed';
  static override readonly detail: string = 'The view refused the request.';
  /** The status of the view's answer: 400 or more; 500 if the answer is larger than `maxViewAnswer`. */
  override readonly status: number;

  constructor(status: number, errors: readonly ErrorDetail[]) {
    super(undefined, { errors });
    this.status = status;
  }
}

export interface ViewAnswer {
  readonly status: number;
  readonly data: unknown;
}

/**
 * @param limit in bytes
 * @throws ViewFailed for a status of 400 or more, and above the limit
 */
export async function fromResponse(response: Response, limit: number): Promise<ViewAnswer> {
  const { status } = response;
  const data = dataOf(response.headers.get('content-type'), await bytesOf(response, limit));
  // Over HTTP it means a part of a file. Here clients would wait for the rest.
  if (status === Status.partial) return { status: Status.ok, data };
  if (status < 400) return { status, data };
  throw new ViewFailed(status, detailsOf(data) ?? [response.statusText || ViewFailed.detail]);
}

async function bytesOf({ body, status }: Response, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size <= limit) continue;
    const shown = status < 400 ? Status.serverError : status;
    throw new ViewFailed(shown, [`The answer of the view is larger than ${limit} bytes.`]);
  }
  return Buffer.concat(chunks);
}

/** The data of an answer: JSON unchanged, text in its charset, anything else as the hexadecimal digits of its bytes. */
function dataOf(contentType: string | null, bytes: Buffer): unknown {
  if (bytes.length === 0) return null;
  const type = typeOf(contentType);
  const decoder = type && isText(type.essence) ? decoderOf(type) : undefined;
  if (!type || !decoder) return bytes.toString('hex');
  const text = decoder.decode(bytes);
  return isJson(type.essence) ? parsed(text) : text;
}

function typeOf(contentType: string | null): MIMEType | undefined {
  try {
    return contentType === null ? undefined : new MIMEType(contentType);
  } catch {
    return undefined;
  }
}

function isJson(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json');
}

function isText(type: string): boolean {
  return isJson(type) || /^text\/|^application\/(xml|x-www-form-urlencoded)$|\+xml$/.test(type);
}

/** The decoder of the charset; undefined for an unknown one. */
function decoderOf({ params }: MIMEType): TextDecoder | undefined {
  try {
    return new TextDecoder(params.get('charset') ?? 'utf-8');
  } catch {
    return undefined;
  }
}

/** Parses JSON; a text that is no JSON, although its type says so, is returned as text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The error texts of common frameworks' answers: a text, `{detail}`, `{message}`, `{field: [texts]}`, or a list of those. */
function detailsOf(data: unknown): readonly ErrorDetail[] | undefined {
  if (data === null) return undefined;
  if (Array.isArray(data) && data.length > 0) return data.map(detailOf);
  return [detailOf(data)];
}

function detailOf(data: unknown): ErrorDetail {
  if (typeof data === 'string') return data;
  if (!isJsonObject(data)) return JSON.stringify(data);
  for (const told of [data['detail'], data['message']]) if (typeof told === 'string') return told;
  if (Object.values(data).every(isTexts)) return data as Record<string, string[]>;
  return typeof data['error'] === 'string' ? data['error'] : JSON.stringify(data);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
