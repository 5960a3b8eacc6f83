import { type ErrorDetail, SignalboxError } from 'signalbox/client';

/** Describes an error to the user. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof SignalboxError)) return 'Something went wrong.';
  return error.errors.map(textOf).join(' ');
}

/** The texts of one field of a form. */
export function fieldErrors({ errors }: SignalboxError, field: string): string {
  return errors.flatMap((error) => (typeof error === 'string' ? [] : (error[field] ?? []))).join(' ');
}

function textOf(error: ErrorDetail): string {
  return typeof error === 'string' ? error : Object.values(error).flat().join(' ');
}
