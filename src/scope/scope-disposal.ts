import type { DependencyContainer } from 'tsyringe';
import type { Logger } from '../logger.js';
import { isDisposable, takeLastBuilt } from './connection-container.js';
import type { Scope } from './scope.js';

/** Runs work in a request context of its own, with a time limit. */
type Run = (work: () => Promise<void>) => Promise<void>;

const ended = new WeakSet<Scope>();

/** Whether the connection has ended, so that its container resolves nothing any more. */
export function hasEnded(scope: Scope): boolean {
  return ended.has(scope);
}

/** Disposes the containers of connections, and with each the providers that were built for its connection alone. */
export class ScopeDisposer {
  /** @param run rejects with the work's error, or if the work takes too long */
  constructor(
    private readonly run: Run,
    private readonly logger: Logger,
  ) {}

  /** Disposes providers one after the other, the last built first, because a provider's dependencies must outlive it. Never rejects. */
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

  /** Disposes the empty container, so that it refuses code that still resolves from it. */
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
