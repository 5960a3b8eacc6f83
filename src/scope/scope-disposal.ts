import type { DependencyContainer } from 'tsyringe';
import type { Logger } from '../logger.js';
import { isDisposable, takeLastBuilt } from './connection-container.js';
import type { Scope } from './scope.js';

/** Runs work in a request context of its own, for a limited time. */
type Run = (work: () => Promise<void>) => Promise<void>;

const ended = new WeakSet<Scope>();

/** Whether the connection is over, so that nothing can be resolved for it. */
export function hasEnded(scope: Scope): boolean {
  return ended.has(scope);
}

/** Ends the containers of connections, and with each every provider that was built for it alone. */
export class ScopeDisposer {
  /** @param run rejects with what the work throws, or when it takes too long */
  constructor(
    private readonly run: Run,
    private readonly logger: Logger,
  ) {}

  /** One after the other, the last that was built first: whatever a provider uses outlives it. Never rejects. */
  async dispose(scope: Scope): Promise<void> {
    ended.add(scope);
    if (!scope.hasContainer) return;
    const { container, path } = scope;
    for (let next = takeLastBuilt(container); next; next = takeLastBuilt(container)) {
      await this.#disposeOne(next, path);
    }
    await this.#end(container, path);
  }

  async #disposeOne(instance: object, path: string): Promise<void> {
    try {
      await this.run(async () => disposeOf(instance));
    } catch (error) {
      const provider = instance.constructor.name;
      this.logger.error('A provider of a connection could not be disposed.', { provider, path, error });
    }
  }

  /** Nothing is left in it; it only has to refuse code that still asks. */
  async #end(container: DependencyContainer, path: string): Promise<void> {
    try {
      await container.dispose();
    } catch (error) {
      this.logger.error('The container of a connection could not be disposed.', { path, error });
    }
  }
}

async function disposeOf(instance: object): Promise<void> {
  if (hasAsyncDispose(instance)) await instance[Symbol.asyncDispose]();
  else if (hasDispose(instance)) instance[Symbol.dispose]();
  else if (isDisposable(instance)) await instance.dispose();
}

function hasAsyncDispose(instance: object): instance is AsyncDisposable {
  return Symbol.asyncDispose in instance;
}

function hasDispose(instance: object): instance is Disposable {
  return Symbol.dispose in instance;
}
