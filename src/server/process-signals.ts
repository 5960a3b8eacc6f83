import type { Clock } from '../clock.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';

export interface ShutdownOptions {
  /** What is to end behind the application, such as the database: `() => orm.close()`. */
  readonly after?: () => Promise<unknown> | unknown;
  /**
   * After so many milliseconds the process exits, whatever is left; above `drain.timeLimit`. Default: 2 000 more than that, so
   * 30 000 unless it is set.
   */
  readonly exitWithin?: number;
}

export interface SignalParts {
  readonly drain: () => Promise<void>;
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a drain may take. */
  readonly drainTimeLimit: number;
}

/** What comes after a drain: closing, and what is to end behind the application. */
const afterDrain = 2_000;

/**
 * SIGTERM drains, SIGINT closes; the second signal of either kind ends the process at once. Returns what takes it back.
 *
 * @throws ConfigurationError where the process would exit before its drain is over
 */
export function onProcessSignals(parts: SignalParts, options: ShutdownOptions): () => void {
  const exitWithin = checkedTime(options.exitWithin, parts.drainTimeLimit);
  let isEnding = false;
  const end = (signal: string, way: () => Promise<void>): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    void endProcess(signal, way, parts, { ...options, exitWithin });
  };
  const onTerminate = (): void => end('SIGTERM', parts.drain);
  const onInterrupt = (): void => end('SIGINT', parts.close);
  process.on('SIGTERM', onTerminate).on('SIGINT', onInterrupt);
  return () => process.off('SIGTERM', onTerminate).off('SIGINT', onInterrupt);
}

function checkedTime(exitWithin: number | undefined, drainTimeLimit: number): number {
  if (exitWithin === undefined) return drainTimeLimit + afterDrain;
  if (exitWithin > drainTimeLimit) return exitWithin;
  throw new ConfigurationError({
    class: 'closeOnSignals',
    member: 'exitWithin',
    reason: `is ${exitWithin}, and drain.timeLimit is ${drainTimeLimit}: the process would exit before its drain is over.`,
    remedy: 'Give more than drain.timeLimit, or lower that: settings: { drain: { timeLimit } }.',
  });
}

async function endProcess(
  signal: string,
  way: () => Promise<void>,
  { clock, logger }: SignalParts,
  { after, exitWithin }: ShutdownOptions & { readonly exitWithin: number },
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
