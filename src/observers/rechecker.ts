import { currentWork } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import type { LoggedRecheck } from '../orm/change-capture.js';
import type { ObservedBy } from './model-event.js';
import { everyRow, type Observer } from './observer.js';

/** The public observers of a consumer, by name. */
export type ObserverNameOf<Consumer> = {
  [Name in keyof Consumer]: Consumer[Name] extends (...parameters: never) => unknown
    ? [ObservedBy<Consumer[Name]>] extends [never]
      ? never
      : Name
    : never;
}[keyof Consumer] &
  string;

/** Takes a recheck that code asked for. It waits for the caller's transaction, if there is one. */
export type StageRecheck = (recheck: LoggedRecheck) => void;

/**
 * Asks again whether subscriptions are still allowed, for rights that depend on no row and no signal. Injected. Inside a transaction it
 * asks after the commit; it reaches the subscriptions of every process.
 *
 * ```ts
 * rechecker.recheck(RoomConsumer, 'onMessage', ['room-1']);   // groups as @GroupsForConsumer('onMessage') yields them
 * ```
 */
export class Rechecker {
  readonly #observers: readonly Observer[];
  readonly #stage: StageRecheck;

  /** The application makes it. */
  constructor(observers: readonly Observer[], stage: StageRecheck) {
    this.#observers = observers;
    this.#stage = stage;
  }

  /**
   * @param groups the groups of the subscriptions; if the observer has no groups, all its subscriptions are rechecked
   * @throws ConfigurationError for an observer that no routed consumer has
   */
  recheck<Consumer extends object>(
    consumer: Class<Consumer>,
    observer: ObserverNameOf<Consumer>,
    groups: readonly string[],
  ): void {
    const request = currentWork.getStore()?.id;
    for (const found of this.#find(consumer, observer)) {
      this.#stage({
        observer: found.id,
        groups: found.named(found.hasGroups ? groups : everyRow),
        ...(request !== undefined && { origin: request }),
      });
    }
  }

  #find(consumer: Class, member: string): readonly Observer[] {
    const found = this.#observers.filter(
      (observer) =>
        observer.member === member &&
        (observer.consumer === consumer || observer.consumer.prototype instanceof consumer),
    );
    if (found.length > 0) return found;
    throw new ConfigurationError({
      class: consumer.name,
      member,
      reason: 'is to be rechecked, but no routed consumer has this observer.',
      remedy: 'Name a routed consumer and one of its observers.',
    });
  }
}
