import { randomUUID } from 'node:crypto';
import { ApiError, UnexpectedError } from '../errors.js';
import type { LogFields, Logger } from '../logger.js';
import type { ConcreteClass } from '../metadata.js';
import { Status } from '../status.js';

/**
 * A provider that maps another library's errors to the error that the client gets.
 *
 * ```ts
 * @injectable()
 * class PaymentErrors implements ErrorMapper {
 *   toApiError(thrown: unknown) { return thrown instanceof CardDeclined ? new Conflict('The card was declined.') : undefined; }
 * }
 * createApp({ …, errors: [PaymentErrors] })
 * ```
 */
export interface ErrorMapper {
  /**
   * Called for each error that is no ApiError. The mappers are called in the order of the option `errors`, until one returns an error.
   *
   * @returns the error for the client; undefined leaves it to the next mapper, and finally to a 500 with a correlation id
   */
  toApiError(thrown: unknown): ApiError | undefined;
}

export type ErrorMapperClass = ConcreteClass<ErrorMapper>;

/**
 * Turns everything that is thrown into an error for the client. Errors that no mapper knows are logged in full, and the client only gets a
 * correlation id.
 */
export class ErrorTranslator {
  constructor(
    private readonly mappers: readonly ErrorMapper[],
    private readonly logger: Logger,
  ) {}

  /**
   * Never throws.
   *
   * @param fields added to the log line of an unexpected error
   */
  translate(thrown: unknown, fields: LogFields): ApiError {
    if (safeInstanceof(thrown, ApiError) && canBeTold(thrown)) return thrown;
    try {
      const known = this.#map(thrown);
      if (known && canBeTold(known)) {
        const { remedy } = known;
        const facts = { ...fields, code: known.code, ...(remedy !== undefined && { remedy }), error: thrown };
        // The client gets the error; this line shows a developer if the mistake was the server's.
        if (known.status < Status.serverError)
          this.logger.debug('An error was mapped.', { ...facts, error: sentenceOf(thrown) });
        else this.logger.warn('An action could not be carried out.', facts);
        return known;
      }
    } catch (error) {
      this.logger.error('An error mapper failed.', { ...fields, error });
    }
    const error = new UnexpectedError(randomUUID());
    this.logger.error('An action failed.', { ...fields, correlationId: error.correlationId, error: thrown });
    return error;
  }

  #map(thrown: unknown): ApiError | undefined {
    for (const mapper of this.mappers) {
      const known = mapper.toApiError(thrown);
      if (known) return known;
    }
    return undefined;
  }
}

/** The error without its stack, which a client's mistake does not need. */
function sentenceOf(thrown: unknown): unknown {
  return safeInstanceof(thrown, Error) ? `${thrown.name}: ${thrown.message}` : thrown;
}

/** Whether the error can be sent: an application's error may hold values that JSON cannot show, or throw when it is read. */
function canBeTold(error: ApiError): boolean {
  try {
    const { status, code, errors, retryAfter = 0 } = error;
    if (!Number.isInteger(status) || typeof code !== 'string' || !Number.isFinite(retryAfter)) return false;
    return Array.isArray(errors) && typeof JSON.stringify(errors) === 'string';
  } catch {
    return false;
  }
}

/** `instanceof` for anything that was thrown: a revoked proxy throws when it is asked, and counts as no instance. */
export function safeInstanceof<T>(thrown: unknown, type: abstract new (...parameters: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}
