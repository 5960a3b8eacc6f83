import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';

export interface SignalOptions {
  /** What is to end behind the application, such as the database: `() => orm.close()`. */
  readonly after?: () => Promise<unknown> | unknown;
  /** After so many milliseconds the process exits, whatever is left. Default 30 000. */
  readonly exitWithin?: number;
}

export interface SignalParts {
  readonly drain: () => Promise<void>;
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** SIGTERM drains, SIGINT closes; the second signal of either kind ends the process at once. Returns what takes it back. */
export function onProcessSignals(parts: SignalParts, options: SignalOptions): () => void {
  let isEnding = false;
  const end = (signal: string, way: () => Promise<void>): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    void endProcess(signal, way, parts, options);
  };
  const onTerminate = (): void => end('SIGTERM', parts.drain);
  const onInterrupt = (): void => end('SIGINT', parts.close);
  process.on('SIGTERM', onTerminate).on('SIGINT', onInterrupt);
  return () => process.off('SIGTERM', onTerminate).off('SIGINT', onInterrupt);
}

async function endProcess(
  signal: string,
  way: () => Promise<void>,
  { clock, logger }: SignalParts,
  { after, exitWithin = 30_000 }: SignalOptions,
): Promise<void> {
  logger.info('The process ends.', { signal });
  clock.after(exitWithin, () => {
    logger.error('The process did not end in time.', { exitWithin });
    process.exit(1);
  });
  try {
    await way();
    await after?.();
    process.exit(0);
  } catch (error) {
    logger.error('The process could not end cleanly.', { error });
    process.exit(1);
  }
}
