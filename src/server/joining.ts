import type { LiveConnections } from '../authentication/live-connections.js';
import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { Settings } from '../settings.js';
import { settledWithin } from './settled-within.js';

export interface JoiningParts {
  readonly live: Pick<LiveConnections, 'join'>;
  readonly layer: ChannelLayer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: Pick<Settings, 'channelLayerTimeLimit'>;
}

/**
 * This process begins to hear what others order. Where the channel layer does not answer, the process starts all the same, but
 * is not ready: its connections would stay when another process ends those of their user.
 */
export class Joining {
  readonly #parts: JoiningParts;
  #begun: Promise<void> | undefined;
  #isLate = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** Whether it took too long, and is not done yet. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** Done once, unless it fails. @throws what the channel layer throws in time */
  begin(): Promise<void> {
    this.#begun ??= this.#begin().catch((error) => {
      this.#begun = undefined;
      throw error;
    });
    return this.#begun;
  }

  async #begin(): Promise<void> {
    const { live, layer, clock, logger, settings } = this.#parts;
    const joined = live.join();
    if (await settledWithin(joined, settings.channelLayerTimeLimit, clock)) return joined;
    this.#isLate = true;
    logger.warn(
      'The channel layer does not say that this process has joined, which is not ready meanwhile: see whether connect and add settle, and whether its server answers.',
      { layer: layer.constructor.name, timeLimit: settings.channelLayerTimeLimit },
    );
    const end = (): void => {
      this.#isLate = false;
      logger.info('This process has joined the channel layer.');
    };
    joined.then(end, (error) => logger.error('This process could not join the channel layer.', { error }));
  }
}
