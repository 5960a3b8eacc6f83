import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { type ApiError, UnexpectedError } from '../errors.js';
import type { Logger } from '../logger.js';
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
    const { dispatcher, errors, scope, consumer } = this.#parts;
    try {
      await dispatcher.runHook(work);
      return undefined;
    } catch (thrown) {
      return errors.translate(thrown, { consumer: consumer.constructor.name, hook, path: scope.path });
    }
  }

  /** Where no client is told, the log is, of whatever it was. */
  async runUnheard(hook: string, work: Work): Promise<void> {
    const error = await this.run(hook, work);
    // What was unforeseen is in the log already.
    if (!error || error instanceof UnexpectedError) return;
    const { logger, scope, consumer } = this.#parts;
    try {
      logger.error('A hook failed.', { consumer: consumer.constructor.name, hook, path: scope.path, error });
    } catch {
      // A log that fails must not end the line of requests.
    }
  }
}
