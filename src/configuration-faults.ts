import { ConfigurationError } from './errors.js';

/** Makes the errors of one class, function or option object. */
export function faultsOf(owner: string): (member: string, reason: string, remedy: string) => ConfigurationError {
  return (member, reason, remedy) => new ConfigurationError({ class: owner, member, reason, remedy });
}

/** A value as an error shows it: a text is in quotes, so that `"1"` differs from `1`. */
export function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : String(JSON.stringify(value));
}
