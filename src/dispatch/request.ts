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

/** The consumer that a request goes to, with what running the request needs. */
export interface RequestTarget {
  readonly instance: object;
  /** The declarations of the consumer's decorators: its actions by their names on the wire. */
  readonly compiled: { readonly actions: ReadonlyMap<string, unknown> };
  readonly scope: Scope;
  /** The name of the stream; undefined on a route without streams. */
  readonly stream: string | undefined;
  /** The unit of work, begun in the database that the consumer's atomic actions write. */
  readonly unitOfWork: UnitOfWork;
  /** The kwarg by which clients name an object. */
  readonly lookupKwarg: string;
  /** Resolves when the client has read enough to be sent more; undefined if it already has. */
  ready(): Promise<void> | undefined;
  /**
   * Converts the kwarg by which the client names an object into a key of the model.
   *
   * @throws NotFound if no object can have it
   */
  checkedKey(sent: unknown): unknown;
  /** @throws NotFound */
  loadObject(request: ActionContext): Promise<object>;
  /** Whether a permission of the action judges the object of a request. */
  looksAtObject(action: ActionDefinition): boolean;
  /** Whether one statement may perform the action's write, without a transaction and an entity. */
  mayWriteAtOnce(action: ActionDefinition): boolean;
  /**
   * Writes the row by one statement. Returns undefined, without effect, if an entity is needed.
   *
   * @param kwargs the checked kwargs
   * @param judge asks the permissions for the object; returns whether they used nothing else
   */
  writeAtOnce(
    request: Request,
    action: ActionDefinition,
    kwargs: unknown,
    judge: (object: object) => Promise<boolean>,
  ): Promise<object | undefined>;
  /** Converts the result of an action into plain data. */
  show(result: unknown, request: Request): Promise<unknown>;
  /** Sends a part of the reply. */
  send(reply: Reply): void;
  /** Sends the final reply, unless the client has disconnected, and logs the request. */
  answer(request: Request, reply: Reply | undefined): void;
  /** Called when the request was answered while its work, which cannot be stopped, continues. */
  abandoned(request: Request): void;
  /** Called when all work of the request has ended. */
  settled(request: Request): void;
}

/** The outcome of a request: its status, and its data as JSON text. */
export interface Outcome {
  readonly status: number;
  readonly data: string;
}

/** Prefix of the ids of this process' requests. */
const processId = randomBytes(12).toString('base64url');

/** A promise that records whether it is awaited: then the awaiting code handles its failure. */
export class OwnedPromise<T> extends Promise<T> {
  isAwaited = false;

  /** Promises derived from it are plain promises. */
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

  /** Settles like the work. A rejection counts as handled: otherwise Node.js would end the process. */
  static of<T>(work: Promise<T>): OwnedPromise<T> {
    const owned = new OwnedPromise<T>((resolve, reject) => work.then(resolve, reject));
    owned.#expectRejection();
    return owned;
  }

  #expectRejection(): void {
    super.then(undefined, () => {});
  }
}

/**
 * One request, from the moment it is read until all its work has ended: waiting, running, answered, settled. It sends any number of parts,
 * then exactly one final reply, or none if the socket has closed. It is also the context of its action, the work that log lines and changes
 * refer to, and the entry in the list of deadlines.
 */
export class Request extends ActionContext implements Work, Expiring {
  declare kwargs: Readonly<Record<string, unknown>>;
  isStarted = false;
  /** Whether the final reply is sent, or the client has disconnected. */
  isOver = false;
  /** Whether it was answered before its work ended. */
  isAbandoned = false;
  isSettled = false;
  /** The reason of its abort; undefined if it was not aborted. */
  abortReason: ApiError | Disconnected | undefined;
  /** Promises of the framework that the action began. */
  owned: OwnedPromise<unknown>[] | undefined;
  /** Names that the client sent and the action's kwargs do not have. */
  unknownKwargs: readonly string[] | undefined;
  /** Whether the client unsubscribed from it before it was answered. */
  isUnsubscribed = false;
  /** Whether another user has taken over the connection since: then it must not subscribe for the new user. */
  isOfFormerUser = false;
  /** Disconnects and rechecks since it began: what it has read may be out of date because of them. */
  commandsMeanwhile: ConnectionCommand[] | undefined;
  /** The status of the final reply; undefined before it, and if the client had disconnected. */
  status: number | undefined;
  /** The error of the final reply; undefined if it has none. */
  error: ApiError | undefined;
  /** When it began to run, by `Clock.elapsed`. */
  startedAt = 0;
  /** The id of its trace. */
  trace: string | undefined;
  due = 0;
  timer: Timer | undefined;
  readonly isDetached: boolean;
  /** The name of a declared action, for logs and counters; never a name that a client made up. */
  readonly name: string;
  readonly #number: number;
  #controller: AbortController | undefined;
  /** Aborted together with the request, unless its commit has begun. */
  #untilCommit: AbortController | undefined;
  #isCommitting = false;
  #settled: PromiseWithResolvers<void> | undefined;
  #callbacks: ((hasSucceeded: boolean) => void)[] | undefined;
  #logFields: Readonly<Record<string, unknown>> | undefined;

  /**
   * @param definition undefined if the consumer has no such action
   * @param number identifies it among all requests of the process
   * @param bytes of heap that its frame takes: an estimate that is not too low
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

  /** The name of the consumer in log lines for developers. */
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

  /** @param checked kwargs by the names that the action declares */
  takeChecked(checked: object): void {
    this.kwargs = { ...this.kwargs, ...checked };
  }

  /** Makes code that reads the kwargs end the request with this error. */
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

  /** The signal for the action's transaction: after its commit has begun, only the commit decides. */
  get signalUntilCommit(): AbortSignal {
    this.#untilCommit ??= new AbortController();
    if (this.abortReason) this.#untilCommit.abort(this.abortReason);
    return this.#untilCommit.signal;
  }

  /** @throws the reason of an abort */
  throwIfAborted(): void {
    if (this.abortReason) throw this.abortReason;
  }

  /**
   * Begins the commit.
   *
   * @throws the reason of an earlier abort
   */
  beginCommit(): void {
    this.throwIfAborted();
    this.#isCommitting = true;
  }

  /**
   * Called when nothing was committed and the work continues: an abort counts again.
   *
   * @throws the reason of an abort that came meanwhile
   */
  takeBackCommit(): void {
    this.#isCommitting = false;
    this.throwIfAborted();
  }

  /**
   * Settles with the work, or rejects with the reason of an abort at once, while the work continues.
   *
   * @param onLate called with an error that the work throws afterwards
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
   * Answers with the reason at once, unless the client has disconnected, or the commit has begun and decides. The work itself cannot be
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

  /** Resolves when all work of the request has ended, which may be long after its answer. */
  get whenSettled(): Promise<void> {
    if (this.isSettled) return Promise.resolve();
    this.#settled ??= Promise.withResolvers();
    return this.#settled.promise;
  }

  /**
   * Checks that the request has not ended, before something that lasts longer than it: a login, a group.
   *
   * @throws the reason of the request's end
   */
  requireUnderWay(): void {
    if (this.abortReason) throw this.abortReason;
    if (this.isOver) throw new Cancelled('The request has ended already.');
  }

  /** Calls back after the final reply is sent, or the client has disconnected. */
  whenAnswered(callback: (hasSucceeded: boolean) => void): void {
    this.#callbacks ??= [];
    this.#callbacks.push(callback);
  }

  /**
   * Takes over a promise of the framework that the action may have forgotten to await. The request waits for it before the reply, and fails
   * if it fails.
   */
  own<T>(work: Promise<T>): Promise<T> {
    const owned = OwnedPromise.of(work);
    this.owned ??= [];
    this.owned.push(owned);
    return owned;
  }

  /**
   * Waits for the promises that the action has not awaited; undefined if there is none.
   *
   * @throws the error of the first that fails
   */
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
    this.target.answer(this, reply);
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
