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
}

type Work = () => Promise<void> | void;

/** Runs what a consumer does besides its actions, for as long as an action may take. */
export class HookRunner {
  readonly #parts: HookRunnerParts;
  readonly #consumer: string;

  constructor(parts: HookRunnerParts, consumer: object) {
    this.#parts = parts;
    this.#consumer = consumer.constructor.name;
  }

  /** What it failed with, for the client to be told. */
  async run(hook: string, work: Work): Promise<ApiError | undefined> {
    const { dispatcher, errors, scope } = this.#parts;
    try {
      await dispatcher.runHook(work);
      return undefined;
    } catch (thrown) {
      return errors.translate(thrown, { consumer: this.#consumer, hook, path: scope.path });
    }
  }

  /** Where no client is told, the log is, of whatever it was. */
  async runUnheard(hook: string, work: Work): Promise<void> {
    const error = await this.run(hook, work);
    // What was unforeseen is in the log already.
    if (!error || error instanceof UnexpectedError) return;
    const { logger, scope } = this.#parts;
    try {
      logger.error('A hook failed.', { consumer: this.#consumer, hook, path: scope.path, error });
    } catch {
      // A log that fails must not end the line of requests.
    }
  }
}
