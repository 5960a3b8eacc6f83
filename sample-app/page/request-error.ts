export type ErrorDetail = string | Readonly<Record<string, readonly string[]>>;

/** A request that was refused by the server, or did not reach it (status 0). */
export class RequestError extends Error {
  override name = 'RequestError';

  constructor(
    readonly status: number,
    readonly errors: readonly ErrorDetail[],
  ) {
    super(errors.map(sentenceOf).join(' '));
  }

  /** The texts of one field of a form. */
  fieldErrors(field: string): string {
    return this.errors.flatMap((error) => (typeof error === 'string' ? [] : (error[field] ?? []))).join(' ');
  }
}

function sentenceOf(error: ErrorDetail): string {
  return typeof error === 'string' ? error : Object.values(error).flat().join(' ');
}
