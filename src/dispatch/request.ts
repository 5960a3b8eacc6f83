import { randomBytes } from 'node:crypto';
import { currentWork, type Work } from '../async-context.js';
import type { ConnectionCommand } from '../authentication/connection-registry.js';
import type { Expiring, Timer } from '../clock.js';
import { type ApiError, Cancelled, Disconnected, TimeLimitExceeded } from '../errors.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { ActionContext } from '../scope/action-context.js';
import { type Scope, userKeyOf } from '../scope/scope.js';
import { Status } from '../status.js';
import { errorReply } from '../wire/codec.js';
import type { ActionRequest, Reply } from '../wire/messages.js';
import type { ActionDefinition } from './actions.js';

/** The consumer that a request came to, as far as carrying it needs to know. */
export interface RequestTarget {
  readonly instance: object;
  /** What decorators say of the consumer: the actions by their names on the wire. */
  readonly compiled: { readonly actions: ReadonlyMap<string, unknown> };
  readonly scope: Scope;
  /** Undefined on a route without streams. */
  readonly stream: string | undefined;
  /** Begun from the database that the consumer's atomic actions write. */
  readonly unitOfWork: UnitOfWork;
  /** The kwarg by which clients name an object. */
  readonly lookupKwarg: string;
  /** Resolves once the client has read enough for more to be worth sending; undefined where it has. */
  ready(): Promise<void> | undefined;
  /** The kwarg by which the client names an object, as a key of the model. @throws NotFound where no object can have it */
  checkedKey(sent: unknown): unknown;
  /** @throws NotFound */
  loadObject(request: ActionContext): Promise<object>;
  /** Whether a permission of the action has an opinion on the object of a request. */
  looksAtObject(action: ActionDefinition): boolean;
  /** Whether the action may be a write by one statement, which needs no transaction around it and no entity. */
  mayWriteAtOnce(action: ActionDefinition): boolean;
  /**
   * The row that it has written, undefined where it took no effect because an entity is needed after all.
   *
   * @param kwargs as they were checked
   * @param judge asks the permissions for the object; whether they looked at nothing else
   */
  writeAtOnce(
    request: Request,
    action: ActionDefinition,
    kwargs: unknown,
    judge: (object: object) => Promise<boolean>,
  ): Promise<object | undefined>;
  /** What an action returned, as plain data. */
  show(result: unknown, request: Request): Promise<unknown>;
  send(reply: Reply): void;
  /** The final reply is sent, or the client is gone. */
  answered(request: Request): void;
  /** The request was answered while its work goes on, which cannot be stopped. */
  abandoned(request: Request): void;
  /** Nothing works for the request any more. */
  settled(request: Request): void;
}

/** The end of a request: its status and its data as JSON text. */
export interface Outcome {
  readonly status: number;
  readonly data: string;
}

/** Begins the ids of the requests of this process. */
const processId = randomBytes(12).toString('base64url');

/** A promise that knows whether it is awaited: then its failure is for the code that awaits it to handle. */
export class OwnedPromise<T> extends Promise<T> {
  isAwaited = false;

  /** What is derived from it is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has one, and this is how it learns that it is awaited
  override then<Result = T, Failure = never>(
    onFulfilled?: ((value: T) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    this.isAwaited = true;
    return super.then(onFulfilled, onRejected);
  }

  /** Node.js takes a rejection that nothing handles for the end of the process. */
  expectRejection(): void {
    super.then(undefined, () => {});
  }
}

/**
 * One request, from the moment it is read to the moment nothing works for it any more: waiting in line, running, answered,
 * settled. It sends any number of parts, then exactly one final reply, or none once the socket is gone. It is the context that
 * its action is handed, the work that log lines and changes refer to, and the entry in the list of deadlines: one object.
 */
export class Request extends ActionContext implements Work, Expiring {
  declare kwargs: Readonly<Record<string, unknown>>;
  isStarted = false;
  /** Whether the final reply is sent, or the client is gone. */
  isOver = false;
  /** Whether it was answered before its work was done. */
  isAbandoned = false;
  isSettled = false;
  /** Why it was aborted, if it was. */
  abortReason: ApiError | Disconnected | undefined;
  /** Promises of the framework that the action began. */
  owned: OwnedPromise<unknown>[] | undefined;
  /** The names that came and that its action's kwargs do not have. */
  unknownKwargs: readonly string[] | undefined;
  /** Whether its client has ended what it subscribes to before it was answered. */
  isUnsubscribed = false;
  /** Whether another user has taken over the connection since: it must not subscribe for the new one. */
  isOfFormerUser = false;
  /** Disconnects and rechecks that were ordered since it began: what it has read may be out of date by them. */
  commandsMeanwhile: ConnectionCommand[] | undefined;
  /** The status of the final reply; undefined before it, and where the client was gone. */
  status: number | undefined;
  /** The error of the final reply; undefined where it has none. */
  error: ApiError | undefined;
  /** When it began to run, by `Clock.elapsed`. */
  startedAt = 0;
  /** The id of the trace that it is in. */
  trace: string | undefined;
  due = 0;
  timer: Timer | undefined;
  readonly isDetached: boolean;
  /** Never the name that a client made up: only declared actions have names in logs and counters. */
  readonly name: string;
  readonly #number: number;
  #controller: AbortController | undefined;
  /** Aborted with the request, unless its commit has begun. */
  #untilCommit: AbortController | undefined;
  #isCommitting = false;
  #settled: PromiseWithResolvers<void> | undefined;
  #callbacks: ((hasSucceeded: boolean) => void)[] | undefined;
  #logFields: Readonly<Record<string, unknown>> | undefined;

  /**
   * @param definition undefined where the consumer has no action of this name
   * @param number tells it from every other request of the process
   * @param bytes of heap that what came takes: an estimate that is not too low
   */
  constructor(
    readonly target: RequestTarget,
    readonly definition: ActionDefinition | undefined,
    number: number,
    { action, requestId, kwargs }: ActionRequest,
    readonly bytes = 0,
  ) {
    super({ scope: target.scope, action, requestId, kwargs });
    this.#number = number;
    this.isDetached = definition?.detached ?? false;
    this.name = definition?.name ?? 'unknown';
  }

  get id(): string {
    return `${processId}:${this.#number}`;
  }

  /** The consumer as log lines for developers call it. */
  get label(): string {
    return this.target.stream ?? this.target.instance.constructor.name;
  }

  get logFields(): Readonly<Record<string, unknown>> {
    if (this.#logFields) return this.#logFields;
    const { scope, target, name, requestId, trace } = this;
    const user = userKeyOf(scope);
    this.#logFields = {
      consumer: target.instance.constructor.name,
      action: name,
      requestId,
      path: scope.path,
      ...(user !== undefined && { user }),
      ...(trace !== undefined && { trace }),
    };
    return this.#logFields;
  }

  /** @param checked by the names that the action declares */
  takeChecked(checked: object): void {
    this.kwargs = { ...this.kwargs, ...checked };
  }

  /** Code that looks at the kwargs ends the request with this error. */
  refuseKwargs(error: unknown): void {
    const refuse = (): never => {
      throw error;
    };
    Object.defineProperty(this, 'kwargs', { get: refuse, enumerable: true });
  }

  override get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.abortReason) this.#controller.abort(this.abortReason);
    }
    return this.#controller.signal;
  }

  /** For the transaction of the action: once its commit has begun, the commit alone decides. */
  get signalUntilCommit(): AbortSignal {
    this.#untilCommit ??= new AbortController();
    if (this.abortReason) this.#untilCommit.abort(this.abortReason);
    return this.#untilCommit.signal;
  }

  /** @throws the reason of an abort */
  throwIfAborted(): void {
    if (this.abortReason) throw this.abortReason;
  }

  /** @throws the reason of an abort that came first */
  beginCommit(): void {
    this.throwIfAborted();
    this.#isCommitting = true;
  }

  /**
   * Nothing was committed, and the work goes on: an abort counts again.
   *
   * @throws the reason of one that came meanwhile
   */
  takeBackCommit(): void {
    this.#isCommitting = false;
    this.throwIfAborted();
  }

  /**
   * Settles with the work, or rejects with the reason of an abort as soon as there is one. The work goes on all the same.
   *
   * @param onLate called with what it fails with afterwards
   */
  untilAborted<T>(work: Promise<T>, onLate: (error: unknown) => void): Promise<T> {
    const signal = this.signalUntilCommit;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
      work
        .then(resolve, (error) => (signal.aborted ? onLate(error) : reject(error)))
        .finally(() => signal.removeEventListener('abort', abort));
    });
  }

  part(data: string): void {
    if (!this.isOver) this.target.send(this.#reply({ status: Status.partial, data }));
  }

  succeed(outcome: Outcome): void {
    this.#answer(this.#reply(outcome), true);
  }

  fail(error: ApiError): void {
    if (!this.isOver) this.error = error;
    this.#answer(errorReply(error, this));
  }

  /**
   * Answers with the reason at once, unless the client has left, or the commit has begun and decides. The work itself cannot be
   * stopped: `signal` is aborted.
   */
  abort(reason: ApiError | Disconnected): void {
    this.abortReason ??= reason;
    const isUndecided = !this.isOver && (!this.#isCommitting || reason instanceof Disconnected);
    this.#controller?.abort(reason);
    if (!this.#isCommitting) this.#untilCommit?.abort(reason);
    if (!isUndecided) return;
    this.isAbandoned = this.isStarted && !this.isSettled;
    if (reason instanceof Disconnected) this.#answer();
    else this.fail(reason);
    if (this.isAbandoned) this.target.abandoned(this);
  }

  expire(): void {
    this.abort(new TimeLimitExceeded());
  }

  settle(): void {
    this.isSettled = true;
    this.target.settled(this);
    this.#settled?.resolve();
  }

  /** Resolves once nothing works for it any more, which may be long after it was answered. */
  get whenSettled(): Promise<void> {
    if (this.isSettled) return Promise.resolve();
    this.#settled ??= Promise.withResolvers();
    return this.#settled.promise;
  }

  /**
   * For what would last longer than the request: a login, a group.
   *
   * @throws what ended the request: its code runs on, and changes nothing
   */
  requireUnderWay(): void {
    if (this.abortReason) throw this.abortReason;
    if (this.isOver) throw new Cancelled('The request has ended already.');
  }

  /** Calls back once the final reply is sent, or the client is gone. */
  whenAnswered(callback: (hasSucceeded: boolean) => void): void {
    this.#callbacks ??= [];
    this.#callbacks.push(callback);
  }

  /**
   * Takes over a promise of the framework that its action may have forgotten to await: it is waited for before the reply, and
   * where it fails the request does.
   */
  own<T>(work: Promise<T>): Promise<T> {
    const owned = new OwnedPromise<T>((resolve, reject) => work.then(resolve, reject));
    owned.expectRejection();
    this.owned ??= [];
    this.owned.push(owned);
    return owned;
  }

  /** Undefined where the action has awaited all that it began. @throws what the first of the others fails with */
  ownedWork(): Promise<unknown> | undefined {
    const forgotten = this.owned?.filter(({ isAwaited }) => !isAwaited) ?? [];
    return forgotten.length === 0 ? undefined : Promise.all(forgotten);
  }

  get answered(): Promise<void> {
    return this.isOver ? Promise.resolve() : new Promise((resolve) => this.whenAnswered(() => resolve()));
  }

  #answer(reply?: Reply, hasSucceeded = false): void {
    if (this.isOver) return;
    this.isOver = true;
    this.status = reply?.status;
    this.timer?.cancel();
    if (reply) this.target.send(reply);
    this.target.answered(this);
    const callbacks = this.#callbacks;
    this.#callbacks = undefined;
    for (const callback of callbacks ?? []) callback(hasSucceeded);
  }

  #reply({ status, data }: Outcome): Reply {
    return { action: this.action, requestId: this.requestId, status, data, errors: [] };
  }
}

/** The request that the running code works for; undefined outside of any. */
export function currentRequest(): Request | undefined {
  const work = currentWork.getStore();
  return work instanceof Request ? work : undefined;
}
