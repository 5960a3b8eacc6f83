import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import type { Deadlines } from '../clock.js';
import { safeInstanceof } from '../dispatch/error-mapping.js';
import { ChannelLayerUnavailable } from '../errors.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ApplicationHooks } from './app-options.js';

/** The hooks of an application's life, each called once. */
export class Lifecycle {
  readonly #started: ApplicationHooks[] = [];
  #starting: Promise<void> | undefined;
  #readying: Promise<void> | undefined;

  /** @param stopTimeout the time limit of a stop hook, in milliseconds */
  constructor(
    private readonly hooks: readonly ApplicationHooks[],
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
    private readonly deadlines: Deadlines,
    private readonly stopTimeout: number,
  ) {}

  start(): Promise<void> {
    this.#starting ??= this.#each('start', (hook) => this.#started.push(hook));
    return this.#starting;
  }

  ready(): Promise<void> {
    this.#readying ??= this.#each('ready');
    return this.#readying;
  }

  /** Stops the hooks that were started, after their start. Never rejects, and waits for none of them for ever. */
  async stop(): Promise<void> {
    if (this.#starting) await this.deadlines.settles(this.#starting, this.stopTimeout);
    for (const hook of this.#started.toReversed()) await this.#stop(hook);
  }

  async #each(name: 'start' | 'ready', done: (hook: ApplicationHooks) => void = () => {}): Promise<void> {
    const { hooks, unitOfWork } = this;
    for (const hook of hooks) {
      await unitOfWork.run(async () => hook[name]?.());
      done(hook);
    }
  }

  async #stop(hook: ApplicationHooks): Promise<void> {
    const { unitOfWork, logger, stopTimeout, deadlines } = this;
    const provider = hook.constructor.name;
    const stopped = unitOfWork
      .run(async () => hook.stop?.())
      .catch((error) => logger.error('A stop hook failed.', { provider, error }));
    if (!(await deadlines.settles(stopped, stopTimeout))) logger.warn('A stop hook did not end in time.', { provider });
  }
}

/**
 * Makes this process receive signals that others send outside of transactions. If the channel layer cannot be reached or does not answer,
 * the process starts nevertheless, but is not ready.
 */
export class Joining {
  #begun: Promise<void> | undefined;
  #isLate = false;

  constructor(
    private readonly join: () => Promise<void>,
    private readonly layer: ChannelLayer,
    private readonly deadlines: Deadlines,
    private readonly logger: Logger,
    private readonly timeLimit: number,
  ) {}

  /** Whether joining failed or took too long, and is not done yet. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /**
   * Joins once, unless it fails.
   *
   * @throws errors of the channel layer that come in time, unless it cannot be reached: then it reports when it is back
   */
  begin(): Promise<void> {
    this.#begun ??= this.#begin().catch((error) => {
      this.#begun = undefined;
      if (!safeInstanceof(error, ChannelLayerUnavailable)) throw error;
      this.#beginWhenBack(error);
    });
    return this.#begun;
  }

  #beginWhenBack(error: ChannelLayerUnavailable): void {
    if (this.#isLate) return;
    this.#isLate = true;
    this.logger.warn(
      'The channel layer cannot be reached: this process joins as soon as it can, and is not ready meanwhile.',
      {
        layer: this.layer.constructor.name,
        error,
      },
    );
    this.layer.onGap(() => void this.#joinLate());
  }

  async #joinLate(): Promise<void> {
    if (!this.#isLate) return;
    try {
      await this.join();
      this.#isLate = false;
      this.logger.info('This process has joined the channel layer.');
    } catch (error) {
      this.logger.error('This process could not join the channel layer.', { error });
    }
  }

  async #begin(): Promise<void> {
    const { join, layer, deadlines, logger, timeLimit } = this;
    const joined = join();
    if (await deadlines.settles(joined, timeLimit)) {
      await joined;
      this.#isLate = false;
      return;
    }
    this.#isLate = true;
    logger.warn(
      'The channel layer has not confirmed that this process has joined, so the process is not ready: check that connect and add settle, and that its server answers.',
      { layer: layer.constructor.name, timeLimit },
    );
    const end = (): void => {
      this.#isLate = false;
      logger.info('This process has joined the channel layer.');
    };
    joined.then(end, (error) => logger.error('This process could not join the channel layer.', { error }));
  }
}
