import { ConfigurationError } from './errors.js';

/** Makes the errors of one class, function or option object. */
export function faultsOf(owner: string): (member: string, reason: string, remedy: string) => ConfigurationError {
  return (member, reason, remedy) => new ConfigurationError({ class: owner, member, reason, remedy });
}
