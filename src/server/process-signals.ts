import type { Clock } from '../clock.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';

/** How a process ends at SIGTERM and SIGINT. */
export interface ShutdownOptions {
  /** What is to end behind the application, such as the database: `() => orm.close()`. */
  readonly after?: () => Promise<unknown> | unknown;
  /**
   * Milliseconds after which the process exits, whatever still runs; above `drain.timeLimit`. Default: 2 000 more than that, so
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

interface Ending {
  /** The signal that asks for the end; none where a rejection does. */
  readonly signal?: string | undefined;
  readonly way: () => Promise<void>;
  readonly exitCode: number;
}

/** Milliseconds for what comes after a drain: closing, and what is to end behind the application. */
const afterDrain = 2_000;

/**
 * SIGTERM drains, SIGINT closes; the second signal of either kind ends the process at once. A promise that was rejected and that
 * no code waits for would make Node exit in the middle of other clients' requests: it drains too, and the process exits with 1.
 * Returns what takes the listeners off again.
 *
 * @throws ConfigurationError where the process would exit before its drain is over
 */
export function onProcessSignals(parts: SignalParts, options: ShutdownOptions): () => void {
  const exitWithin = checkedTime(options.exitWithin, parts.drainTimeLimit);
  let ending: Ending | undefined;
  const end = (next: Ending): void => {
    if (ending === undefined) void endProcess(next, parts, { ...options, exitWithin });
    else if (ending.signal !== undefined && next.signal !== undefined) process.exit(1);
    // A signal after a rejection is the first signal, and the process drains already.
    ending = { ...next, signal: ending?.signal ?? next.signal };
  };
  const onTerminate = (): void => end({ signal: 'SIGTERM', way: parts.drain, exitCode: 0 });
  const onInterrupt = (): void => end({ signal: 'SIGINT', way: parts.close, exitCode: 0 });
  const onRejection = (error: unknown): void => {
    parts.logger.error('A promise was rejected that no code waits for; the process drains and exits with 1.', {
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
