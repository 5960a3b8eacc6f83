import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';

type Method = (...parameters: readonly unknown[]) => unknown;

/** The methods with `@Detached` of one consumer: each call runs outside of its caller's transaction and request. */
export class DetachedMethods {
  readonly #running = new Set<Promise<void>>();

  /** @param afterRequest calls back after the running request has succeeded; at once outside of any request */
  constructor(
    private readonly consumer: object,
    members: readonly string[],
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
    private readonly signal: AbortSignal,
    afterRequest: (begin: () => void) => void,
  ) {
    for (const member of members) {
      const method: Method = Reflect.get(consumer, member);
      const call = async (...parameters: readonly unknown[]): Promise<void> =>
        afterRequest(() => this.#begin(member, () => method.apply(consumer, [...parameters])));
      Object.defineProperty(consumer, member, { value: call, configurable: true });
    }
  }

  /** Resolves when no call runs any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  #begin(member: string, work: () => unknown): void {
    if (this.signal.aborted) return;
    const running = runDetached(() => this.unitOfWork.run(async () => void (await work())))
      .catch((error) => this.#failed(member, error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Logs the error of a call. Work that ends because its signal was aborted has not failed. */
  #failed(member: string, error: unknown): void {
    const { signal, logger, consumer } = this;
    if (signal.aborted && (error === signal.reason || isAbort(error))) return;
    logger.error('A detached method failed.', { consumer: consumer.constructor.name, member, error });
  }
}

function isAbort(error: unknown): boolean {
  try {
    return error instanceof Error && error.name === 'AbortError';
  } catch {
    return false;
  }
}
