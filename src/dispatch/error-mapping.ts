import { randomUUID } from 'node:crypto';
import { ApiError, UnexpectedError } from '../errors.js';
import type { LogFields, Logger } from '../logger.js';
import type { ConcreteClass } from '../metadata.js';
import { Status } from '../status.js';

/**
 * A provider that knows errors of another library: what it returns is what the client is answered; undefined for those that
 * it does not know.
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
   * Called for each error that is no ApiError. The mappers are asked in the order of the option `errors`, until one knows it.
   *
   * @returns what the client is answered; undefined leaves the error to the next mapper, and at last to the answer 500 with a
   * correlation id
   */
  toApiError(thrown: unknown): ApiError | undefined;
}

export type ErrorMapperClass = ConcreteClass<ErrorMapper>;

/** The one gate for whatever was thrown. What no mapper knows is logged whole, and answered with a correlation id only. */
export class ErrorTranslator {
  constructor(
    private readonly mappers: readonly ErrorMapper[],
    private readonly logger: Logger,
  ) {}

  /** Never throws. @param fields stand in the log beside an unexpected error */
  translate(thrown: unknown, fields: LogFields): ApiError {
    if (safeInstanceof(thrown, ApiError) && canBeTold(thrown)) return thrown;
    try {
      const known = this.#map(thrown);
      if (known && canBeTold(known)) {
        const { remedy } = known;
        const facts = { ...fields, code: known.code, ...(remedy !== undefined && { remedy }), error: thrown };
        // The client is answered what it did wrong; a developer may see here that it was not the client.
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

/** Without its stack, which the mistake of a client does not need. */
function sentenceOf(thrown: unknown): unknown {
  return safeInstanceof(thrown, Error) ? `${thrown.name}: ${thrown.message}` : thrown;
}

/** An error of the application's own making may hold what no frame can show, or throw when it is looked at. */
function canBeTold(error: ApiError): boolean {
  try {
    const { status, code, errors, retryAfter = 0 } = error;
    if (!Number.isInteger(status) || typeof code !== 'string' || !Number.isFinite(retryAfter)) return false;
    return Array.isArray(errors) && typeof JSON.stringify(errors) === 'string';
  } catch {
    return false;
  }
}

/** `instanceof` for whatever was thrown: a revoked proxy throws at the question, and is of no class. */
export function safeInstanceof<T>(thrown: unknown, type: abstract new (...parameters: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}
