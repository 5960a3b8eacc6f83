import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { type ApiError, TimeLimitExceeded, UnexpectedError } from '../errors.js';
import type { LogFields, Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';

export interface HookRunnerParts {
  readonly dispatcher: Pick<Dispatcher, 'runHook'>;
  readonly errors: ErrorTranslator;
  readonly logger: Logger;
  readonly scope: Scope;
  readonly consumer: object;
}

export type Work = () => Promise<void> | void;

/** Runs what a consumer does besides its actions, for as long as an action may take. */
export class HookRunner {
  readonly #parts: HookRunnerParts;

  constructor(parts: HookRunnerParts) {
    this.#parts = parts;
  }

  /** What it failed with, for the client to be told. */
  async run(hook: string, work: Work): Promise<ApiError | undefined> {
    const error = await this.#failure(hook, work);
    if (error instanceof TimeLimitExceeded)
      this.#parts.logger.warn('A hook exceeded its time limit.', this.#facts(hook));
    return error;
  }

  /** Where no client is told, the log is, of whatever it was. @returns whether it did not fail */
  async runUnheard(hook: string, work: Work): Promise<boolean> {
    const error = await this.#failure(hook, work);
    // What was unforeseen is in the log already.
    if (error && !(error instanceof UnexpectedError))
      this.#parts.logger.error('A hook failed.', { ...this.#facts(hook), error });
    return !error;
  }

  async #failure(hook: string, work: Work): Promise<ApiError | undefined> {
    const { dispatcher, errors } = this.#parts;
    try {
      await dispatcher.runHook(work);
      return undefined;
    } catch (thrown) {
      return errors.translate(thrown, this.#facts(hook));
    }
  }

  #facts(hook: string): LogFields {
    const { consumer, scope } = this.#parts;
    return { consumer: consumer.constructor.name, hook, path: scope.path };
  }
}
