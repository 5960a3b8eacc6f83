import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ApplicationHooks } from './app-options.js';
import { settledWithin } from './settled-within.js';

export interface HookParts {
  readonly hooks: readonly ApplicationHooks[];
  readonly unitOfWork: UnitOfWork;
  readonly logger: Logger;
  readonly clock: Clock;
  /** How long one that stops is waited for. */
  readonly stopTimeout: number;
}

/** The hooks of an application's life, each called once. */
export class Hooks {
  readonly #parts: HookParts;
  readonly #started: ApplicationHooks[] = [];
  #starting: Promise<void> | undefined;
  #readying: Promise<void> | undefined;

  constructor(parts: HookParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    this.#starting ??= this.#each('start', (hook) => this.#started.push(hook));
    return this.#starting;
  }

  ready(): Promise<void> {
    this.#readying ??= this.#each('ready');
    return this.#readying;
  }

  /** Stops those that did start, once they have. Never rejects, and waits for nobody for ever. */
  async stop(): Promise<void> {
    const { stopTimeout, clock } = this.#parts;
    if (this.#starting) await settledWithin(this.#starting, stopTimeout, clock);
    for (const hook of this.#started.toReversed()) await this.#stop(hook);
  }

  async #each(name: 'start' | 'ready', done: (hook: ApplicationHooks) => void = () => {}): Promise<void> {
    const { hooks, unitOfWork } = this.#parts;
    for (const hook of hooks) {
      await unitOfWork.run(async () => hook[name]?.());
      done(hook);
    }
  }

  async #stop(hook: ApplicationHooks): Promise<void> {
    const { unitOfWork, logger, stopTimeout, clock } = this.#parts;
    const provider = hook.constructor.name;
    const stopped = unitOfWork
      .run(async () => hook.stop?.())
      .catch((error) => logger.error('A stop hook failed.', { provider, error }));
    if (!(await settledWithin(stopped, stopTimeout, clock)))
      logger.warn('A stop hook did not end in time.', { provider });
  }
}
