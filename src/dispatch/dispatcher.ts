import { Disconnected, TimeLimitExceeded } from '../errors.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { origin } from '../signals/origin.js';
import { untilAborted } from './abort.js';
import { ActionRun } from './action-run.js';
import type { ActionTarget } from './action-target.js';
import type { ActionDefinition } from './actions.js';
import type { ErrorTranslator } from './error-translator.js';
import type { Exchange, Outcome } from './exchange.js';
import { isThrown } from './is-thrown.js';
import { type RefusedDelivery, RequestLog, type RequestLogParts } from './request-log.js';
import { SharedTimeLimit } from './shared-time-limit.js';

export interface DispatcherParts extends RequestLogParts {
  readonly unitOfWork: UnitOfWork;
  readonly errors: ErrorTranslator;
}

/**
 * Carries one request from its name to its reply:
 *
 * 1. find the action;
 * 2. begin its transaction, if it is atomic;
 * 3. ask every permission, check the kwargs, load the object and ask for it;
 * 4. run the method, flush, serialize;
 * 5. commit;
 * 6. turn the outcome, or whatever was thrown on the way, into one reply.
 *
 * Never throws. What runs past its time limit, is cancelled or loses its socket is abandoned before the commit or not at all;
 * its client is told so at once, whatever the work, the database or the rollback still waits for.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #log: RequestLog;
  readonly #hookTimeLimit: SharedTimeLimit;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#hookTimeLimit = new SharedTimeLimit(parts.clock, parts.settings.actionTimeLimit);
    this.#log = new RequestLog(parts);
  }

  async dispatch(target: ActionTarget, exchange: Exchange): Promise<void> {
    exchange.start();
    try {
      await this.#log.follow(target, exchange, () => this.#dispatch(target, exchange));
    } catch (thrown) {
      exchange.fail(this.#parts.errors.translate(thrown, { path: target.scope.path }));
    }
    if (exchange.signal.aborted) this.#log.watchAborted(target, exchange);
  }

  async #dispatch(target: ActionTarget, exchange: Exchange): Promise<void> {
    try {
      const action = target.actions.require(exchange.request.action);
      exchange.succeed(await origin.run(exchange.id, () => this.#carry(target, action, exchange)));
    } catch (thrown) {
      // Thrown by an action, it is another connection's end: this client still waits.
      if (exchange.isEnded && isThrown(thrown, Disconnected)) return;
      exchange.fail(this.#parts.errors.translate(thrown, factsOf(target, exchange)));
    }
  }

  /** To be told of each request that waits: those that end before it is their turn are counted and logged as well. */
  expect(target: ActionTarget, exchange: Exchange): void {
    exchange.whenEnded(() => exchange.isStarted || this.#log.noteUnbegun(target, exchange));
  }

  /** Runs the delivery of an event, as `runHook` does, in a trace that names the one of its commit. */
  async deliver(observer: string, cause: string, work: () => Promise<boolean | void> | void): Promise<void> {
    await this.runHook(() => this.#log.followDelivery(observer, cause, work));
  }

  noteRefusal(scope: Scope, delivery: RefusedDelivery): void {
    this.#log.noteRefusal(scope, delivery);
  }

  /**
   * Runs a hook of a consumer in a request context of its own, for as long as an action may take.
   *
   * @throws what the hook throws, or TimeLimitExceeded
   */
  runHook(hook: () => Promise<unknown> | void): Promise<void> {
    return this.#hookTimeLimit.hold(() => this.#parts.unitOfWork.run(hook), this.#tellLate);
  }

  readonly #tellLate = (error: unknown): void =>
    this.#parts.logger.warn('A hook failed after it was abandoned.', { error });

  async #carry(target: ActionTarget, action: ActionDefinition, exchange: Exchange): Promise<Outcome> {
    const { clock } = this.#parts;
    const { unitOfWork } = target;
    const timer = clock.after(action.timeLimit, () => exchange.abort(new TimeLimitExceeded()));
    const parts = new Parts(exchange, target, action.atomic);
    const commit = new Commit(exchange.signal);
    const work = async (): Promise<Outcome> => {
      exchange.signal.throwIfAborted();
      const outcome = await this.#untilAborted(target, action, exchange, parts);
      commit.begin();
      return outcome;
    };
    try {
      const outcome = await commit.wait(
        action.atomic ? unitOfWork.runAtomic(work, commit.aborted) : unitOfWork.run(work),
      );
      await parts.release();
      return outcome;
    } finally {
      timer.cancel();
    }
  }

  #untilAborted(target: ActionTarget, action: ActionDefinition, exchange: Exchange, parts: Parts): Promise<Outcome> {
    const { logger, settings } = this.#parts;
    const { scope, unitOfWork } = target;
    const { signal, request } = exchange;
    const run = new ActionRun({
      target,
      action,
      context: new ActionContext({ scope, signal, ...request }),
      part: (data) => parts.send(data),
      unitOfWork,
      developmentLog: settings.development ? logger : undefined,
    });
    const late = (error: unknown): void => {
      if (!tellsOf(signal.reason, error))
        logger.warn('An action failed after it was abandoned.', { ...factsOf(target, exchange), error });
    };
    return untilAborted(signal, exchange.workedOn(run.outcome()), late);
  }
}

/**
 * Tells what may still be aborted from what may not. A request need not wait for a connection, a lock or its own rollback to
 * be told that it is aborted: nothing of it will be committed. Once its commit begins, the commit alone decides.
 */
class Commit {
  readonly #signal: AbortSignal;
  readonly #aborted = new AbortController();
  #hasBegun = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#hasBegun || this.#aborted.abort(signal.reason), { once: true });
  }

  /** Aborted unless the commit has begun. */
  get aborted(): AbortSignal {
    return this.#aborted.signal;
  }

  /** @throws the reason of an abort that came first */
  begin(): void {
    this.#signal.throwIfAborted();
    this.#hasBegun = true;
  }

  wait<T>(work: Promise<T>): Promise<T> {
    return untilAborted(this.#aborted.signal, work, () => {});
  }
}

/** The parts of a generator: sent as they come, or kept until the commit that makes them true. */
class Parts {
  readonly #exchange: Exchange;
  readonly #target: ActionTarget;
  readonly #kept: string[] | undefined;

  constructor(exchange: Exchange, target: ActionTarget, isAtomic: boolean) {
    this.#exchange = exchange;
    this.#target = target;
    this.#kept = isAtomic ? [] : undefined;
  }

  send(data: string): void {
    if (this.#kept) this.#kept.push(data);
    else this.#exchange.part(data);
  }

  /** As fast as the client reads. */
  async release(): Promise<void> {
    for (const data of this.#kept?.splice(0) ?? []) {
      await this.#target.ready();
      this.#exchange.part(data);
    }
  }
}

/**
 * The ORM wraps the reason why a query was cancelled in an exception of its own, and keeps the message only; what ends by a
 * signal in Node and in browsers is an AbortError.
 */
function tellsOf(reason: Error, error: unknown): boolean {
  try {
    return error instanceof Error && (error.message === reason.message || error.name === 'AbortError');
  } catch {
    return false;
  }
}

function factsOf({ scope, instance }: ActionTarget, { request }: Exchange): Record<string, unknown> {
  const { action, requestId } = request;
  return { consumer: instance.constructor.name, action, requestId, path: scope.path };
}
