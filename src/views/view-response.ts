import { ApiError, type ErrorDetail } from '../errors.js';
import { isJsonObject } from '../wire/codec.js';

/** A view answered with a status of 400 or more: the status is the view's, the texts are what its answer says. */
export class ViewFailed extends ApiError {
  static override readonly code = 'view_failed';
  static override readonly detail: string = 'The view refused the request.';
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

/** @throws ViewFailed from status 400 on */
export async function fromResponse(response: Response): Promise<ViewAnswer> {
  const { status } = response;
  const data = await dataOf(response);
  if (status < 400) return { status, data };
  throw new ViewFailed(status, detailsOf(data) ?? [response.statusText || ViewFailed.detail]);
}

/** JSON as it is, text as text, anything else as the hexadecimal digits of its bytes. */
async function dataOf(response: Response): Promise<unknown> {
  const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length === 0) return null;
  const text = isBinary(type) ? undefined : decoded(bytes);
  if (text === undefined) return Buffer.from(bytes).toString('hex');
  return isJson(type) ? JSON.parse(text) : text;
}

function isJson(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json');
}

function isBinary(type: string): boolean {
  return /^(image|audio|video|font)\/(?!svg)|^application\/(octet-stream|pdf|zip)$/.test(type);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The answers of usual frameworks: a text, `{detail}`, `{message}`, `{field: [texts]}`, or a list of those. */
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
