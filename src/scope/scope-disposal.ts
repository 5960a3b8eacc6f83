import type { Logger } from '../logger.js';
import type { Scope } from './scope.js';

/** Ends the container of a connection, and with it every provider that was built for it alone. Never rejects. */
export async function disposeScope({ container, path }: Scope, logger: Logger): Promise<void> {
  try {
    await container.dispose();
  } catch (error) {
    logger.error('A provider of a connection could not be disposed.', { path, error });
  }
}
