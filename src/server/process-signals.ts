import type { Clock } from '../clock.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';

/** How a process ends on SIGTERM and SIGINT. */
export interface ShutdownOptions {
  /** Ends resources after the application, such as the database: `() => orm.close()`. */
  readonly after?: () => Promise<unknown> | unknown;
  /**
   * Milliseconds after which the process exits, whatever still runs; must be above `drain.timeLimit`. Default: `drain.timeLimit` + 2 000,
   * which is 30 000 with its default.
   */
  readonly exitWithin?: number;
}

export interface SignalParts {
  readonly drain: () => Promise<void>;
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a drain may take, in milliseconds. */
  readonly drainTimeLimit: number;
}

interface Ending {
  /** The signal that ends the process; undefined if a rejection ends it. */
  readonly signal?: string | undefined;
  readonly way: () => Promise<void>;
  readonly exitCode: number;
}

/** Milliseconds for the work after a drain: closing, and the option `after`. */
const afterDrain = 2_000;

/**
 * SIGTERM drains, SIGINT closes; the second signal of either kind ends the process at once. Because of an unhandled rejection, Node would
 * exit in the middle of other clients' requests: instead the process drains, and exits with 1. Returns a function that removes the
 * listeners.
 *
 * @throws ConfigurationError if the process would exit before its drain is over
 */
export function onProcessSignals(parts: SignalParts, options: ShutdownOptions): () => void {
  const exitWithin = checkedTime(options.exitWithin, parts.drainTimeLimit);
  let ending: Ending | undefined;
  const end = (next: Ending): void => {
    if (ending === undefined) void endProcess(next, parts, { ...options, exitWithin });
    else if (ending.signal !== undefined && next.signal !== undefined) process.exit(1);
    // A signal after a rejection counts as the first signal, and the process is already draining.
    ending = { ...next, signal: ending?.signal ?? next.signal };
  };
  const onTerminate = (): void => end({ signal: 'SIGTERM', way: parts.drain, exitCode: 0 });
  const onInterrupt = (): void => end({ signal: 'SIGINT', way: parts.close, exitCode: 0 });
  const onRejection = (error: unknown): void => {
    parts.logger.error('A promise was rejected and not handled; the process drains and exits with 1.', {
      error,
    });
    end({ way: parts.drain, exitCode: 1 });
  };
  process.on('SIGTERM', onTerminate).on('SIGINT', onInterrupt).on('unhandledRejection', onRejection);
  return () => process.off('SIGTERM', onTerminate).off('SIGINT', onInterrupt).off('unhandledRejection', onRejection);
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
  { signal, way, exitCode }: Ending,
  { clock, logger }: SignalParts,
  { after, exitWithin }: ShutdownOptions & { readonly exitWithin: number },
): Promise<void> {
  logger.info('The process ends.', signal === undefined ? {} : { signal });
  clock.after(exitWithin, () => {
    logger.error('The process did not end in time.', { exitWithin });
    process.exit(1);
  });
  try {
    await way();
    await after?.();
    process.exit(exitCode);
  } catch (error) {
    logger.error('The process could not end cleanly.', { error });
    process.exit(1);
  }
}
