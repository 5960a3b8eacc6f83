import { currentWork } from '../async-context.js';
import type { Clock, Deadlines, Limit } from '../clock.js';
import { ActionNotFound, TimeLimitExceeded, UnflushedChanges, ValidationFailed } from '../errors.js';
import { type CheckedKwargs, checkKwargs, refuseUnknown } from '../kwargs/kwargs-checker.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { Answers } from '../permissions/permission-checker.js';
import { ShownRow } from '../serializers/model-plan.js';
import type { Settings } from '../settings.js';
import { encodeData, isPlainData } from '../wire/codec.js';
import type { ActionDefinition } from './actions.js';
import type { ErrorTranslator } from './error-mapping.js';
import { nearNames } from './near-names.js';
import { ActionReply } from './reply.js';
import type { Outcome, Request } from './request.js';
import type { RequestLog } from './request-log.js';

type Method = (...parameters: unknown[]) => unknown;

/** The checks that a request has passed: its kwargs are checked once, and its permissions asked once. */
interface Agreement {
  readonly answers: Answers;
  isGranted: boolean;
  checked: { readonly kwargs: readonly unknown[] } | { readonly error: unknown } | undefined;
}

/**
 * Carries one request from its name to its reply:
 *
 * 1. find the action;
 * 2. begin its transaction, if it is atomic;
 * 3. check the kwargs, ask every permission (its refusal wins over invalid kwargs), load the object and ask for it;
 * 4. run the method, flush, serialize;
 * 5. commit;
 * 6. turn the outcome, or whatever was thrown on the way, into one reply.
 *
 * Never throws. A request that exceeds its time limit, is cancelled or loses its socket before its commit ends at once: with an error reply,
 * or with none if the socket has closed. Its method, a statement or the rollback may still run then, but its transaction is not committed.
 */
export class Dispatcher {
  readonly #hookLimit: Limit;
  /** Writes whose permissions use the database. */
  readonly #needTransactions = new WeakSet<ActionDefinition>();

  constructor(
    private readonly errors: ErrorTranslator,
    readonly log: RequestLog,
    private readonly clock: Clock,
    private readonly deadlines: Deadlines,
    private readonly logger: Logger,
    private readonly settings: Pick<Settings, 'actionTimeLimit' | 'development'>,
    private readonly unitOfWork: UnitOfWork,
  ) {
    this.#hookLimit = {
      milliseconds: settings.actionTimeLimit,
      error: () => new TimeLimitExceeded(),
      onLate: (error) => logger.warn('A hook failed after it was abandoned.', { error }),
    };
  }

  /** Runs a request. The request tells its target when it is answered, and when all its work has ended. */
  dispatch(request: Request): void {
    request.isStarted = true;
    try {
      currentWork.run(request, () => {
        if (this.log.tracer.isOn) this.log.follow(request, () => this.#run(request));
        else this.#run(request);
      });
    } catch (thrown) {
      request.fail(this.errors.translate(thrown, factsOf(request)));
      request.settle();
    }
  }

  /**
   * Runs a hook of a consumer in a request context of its own, with the time limit of actions.
   *
   * @throws the hook's error, or TimeLimitExceeded
   */
  async runHook(hook: () => Promise<unknown> | void): Promise<void> {
    const running = this.unitOfWork.run(hook);
    if (!running) return;
    await this.deadlines.limit(running, this.#hookLimit);
  }

  /** Applies the time limit of actions to a hook that no code awaits. Most end within their turn of the event loop. */
  followHook(running: Promise<unknown>, succeed: () => void, fail: (error: unknown) => void): void {
    this.deadlines.follow(running, this.#hookLimit, succeed, fail);
  }

  #run(request: Request): void {
    const { definition: action } = request;
    if (!action) {
      request.fail(this.#unknownAction(request));
      request.settle();
      return;
    }
    request.startedAt = this.clock.elapsed();
    this.deadlines.begin(request, action.timeLimit, request.startedAt);
    if (action.isPlain) this.#runPlain(request, action);
    else void this.#carry(request, action);
  }

  /** The error for an unknown action. In development it lists similar names. */
  #unknownAction({ action, target }: Request): ActionNotFound {
    const names = this.settings.development ? target.compiled.actions.keys() : [];
    return ActionNotFound.named(action, nearNames(action, names));
  }

  /**
   * The short path of an action without permissions, kwargs, object and transaction. It makes no promise beside the method's own, and
   * changes to the full path if the result has to be awaited or loaded.
   */
  #runPlain(request: Request, action: ActionDefinition): void {
    const { target } = request;
    const fail = (thrown: unknown): void => this.#fail(request, action, thrown);
    if (this.settings.development) this.#noteDropped(action, Object.keys(request.kwargs));
    target.unitOfWork.run(() => {
      try {
        const method: Method = Reflect.get(target.instance, action.member);
        const result = method.call(target.instance, request);
        if (result instanceof Promise) result.then((value) => this.#finishPlain(request, action, value), fail);
        else this.#finishPlain(request, action, result);
      } catch (thrown) {
        fail(thrown);
      }
    });
  }

  #finishPlain(request: Request, action: ActionDefinition, result: unknown): void {
    try {
      if (request.owned || !isPlainData(result)) {
        void this.#conclude(request, action, this.#outcomeOf(request, action, result));
        return;
      }
      this.#checkFlushed(request, action);
      request.succeed({ status: action.status, data: encodeData(result) });
      request.settle();
    } catch (thrown) {
      this.#fail(request, action, thrown);
    }
  }

  #carry(request: Request, action: ActionDefinition): Promise<void> {
    const { target } = request;
    const agreement: Agreement = { answers: new Map(), isGranted: false, checked: undefined };
    if (!action.atomic) {
      const outcome = target.unitOfWork.run(() => this.#outcome(request, action, agreement));
      return this.#conclude(request, action, outcome);
    }
    const outcome =
      !this.#needTransactions.has(action) && target.mayWriteAtOnce(action)
        ? target.unitOfWork.run(() => this.#writeAtOnce(request, action, agreement))
        : this.#commit(request, action, agreement);
    return this.#conclude(request, action, outcome);
  }

  async #conclude(request: Request, action: ActionDefinition, outcome: Promise<Outcome>): Promise<void> {
    try {
      request.succeed(await outcome);
    } catch (thrown) {
      this.#fail(request, action, thrown);
      return;
    }
    request.settle();
  }

  /**
   * Locks, writes, logs and returns the row by one statement. If an entity is needed, the action takes the usual way. It also does so if
   * permissions use the database: what they read, lock and write belongs to the transaction of the write, in which they are asked again.
   * The actions with such permissions are remembered.
   */
  async #writeAtOnce(request: Request, action: ActionDefinition, agreement: Agreement): Promise<Outcome> {
    const { target } = request;
    const { unitOfWork } = target;
    let kwargs: unknown;
    try {
      [kwargs] = await this.#agreed(request, action, agreement);
    } catch (error) {
      if (!unitOfWork.isUsed) throw error;
    }
    request.throwIfAborted();
    if (unitOfWork.isUsed) {
      this.#needTransactions.add(action);
      return this.#commit(request, action, { ...agreement, answers: new Map(), isGranted: false });
    }
    const row = await target.writeAtOnce(request, action, kwargs, (object) =>
      this.#judge(request, action, agreement, object),
    );
    return row ? this.#shown(request, action, row) : this.#commit(request, action, agreement);
  }

  /**
   * Asks the permissions for an object that is no entity of the request; they may be asked again if it has changed meanwhile.
   *
   * @returns whether the permissions used nothing but the object
   * @throws the refusal of a permission
   */
  #judge(request: Request, action: ActionDefinition, { answers }: Agreement, object: object): Promise<boolean> {
    const { unitOfWork } = request.target;
    return unitOfWork.run(async () => {
      try {
        await action.permissions.checkObject(request, object, new Map(answers));
      } catch (error) {
        if (!unitOfWork.isUsed) throw error;
      }
      if (!unitOfWork.isUsed) return true;
      this.#needTransactions.add(action);
      return false;
    });
  }

  /** Runs an action in a transaction. If it is aborted before its commit begins, nothing is stored, whatever its method still does. */
  async #commit(request: Request, action: ActionDefinition, agreement: Agreement): Promise<Outcome> {
    const { unitOfWork } = request.target;
    const parts: string[] = [];
    let method: Promise<Outcome> | undefined;
    const work = async (): Promise<Outcome> => {
      request.throwIfAborted();
      method = this.#outcome(request, action, agreement, parts);
      const outcome = await request.untilAborted(method, (late) => this.#noteLate(request, late));
      request.beginCommit();
      return outcome;
    };
    try {
      const outcome = await unitOfWork.runAtomic(work, request.signalUntilCommit);
      await this.#sendParts(request, parts);
      return outcome;
    } catch (thrown) {
      if (request.isOver) await method?.catch(() => {});
      throw thrown;
    }
  }

  /** Sends parts at the client's reading speed. */
  async #sendParts(request: Request, parts: readonly string[]): Promise<void> {
    for (const data of parts) {
      await request.target.ready();
      request.part(data);
    }
  }

  /** @param parts collects the parts of a generator whose transaction has to commit before they may be sent */
  async #outcome(request: Request, action: ActionDefinition, agreement: Agreement, parts?: string[]): Promise<Outcome> {
    const { instance } = request.target;
    const parameters = await this.#allowed(request, action, agreement);
    if (request.abortReason) throw request.abortReason;
    const method: Method = Reflect.get(instance, action.member);
    return this.#outcomeOf(request, action, await method.call(instance, ...parameters), parts);
  }

  /** The parameters of the method, after every permission has agreed. */
  async #allowed(request: Request, action: ActionDefinition, agreement: Agreement): Promise<unknown[]> {
    const kwargs = await this.#agreed(request, action, agreement);
    if (!action.isDetail) return [...kwargs, request];
    const object = await request.target.loadObject(request);
    if (request.target.looksAtObject(action)) await action.permissions.checkObject(request, object, agreement.answers);
    return [object, ...kwargs, request];
  }

  /** The checked kwargs of an action that its permissions allow. A client without the permission is not told about invalid kwargs. */
  async #agreed(request: Request, action: ActionDefinition, agreement: Agreement): Promise<readonly unknown[]> {
    agreement.checked ??= await this.#checkedKwargs(request, action).then(
      (kwargs) => ({ kwargs }),
      (error: unknown) => {
        request.refuseKwargs(error);
        return { error };
      },
    );
    if (!agreement.isGranted && !action.permissions.isOpen)
      await action.permissions.checkAction(request, agreement.answers);
    agreement.isGranted = true;
    if ('error' in agreement.checked) throw agreement.checked.error;
    return agreement.checked.kwargs;
  }

  /** The checked kwargs as one parameter; an empty list if the action takes none. */
  async #checkedKwargs(request: Request, action: ActionDefinition): Promise<unknown[]> {
    const { kwargs, target } = request;
    const { lookupKwarg } = target;
    const raw = action.isDetail ? kwargsWithout(lookupKwarg, kwargs) : kwargs;
    const { value, dropped } = await checkOf(action, raw);
    if (action.refuses && dropped.length > 0) refuseNamed(action.refuses, dropped);
    if (dropped.length > 0) request.unknownKwargs = dropped;
    this.#noteDropped(action, dropped);
    if (typeof value === 'object' && value !== null) request.takeChecked(value);
    if (action.isDetail) request.takeChecked({ [lookupKwarg]: target.checkedKey(kwargs[lookupKwarg]) });
    return action.kwargs ? [value] : [];
  }

  /** Serializes the result before the commit: if it cannot be shown, the action is rolled back. */
  async #outcomeOf(request: Request, action: ActionDefinition, returned: unknown, parts?: string[]): Promise<Outcome> {
    const result = isGenerator(returned) ? await this.#exhaust(request, action, returned, parts) : returned;
    if (request.owned) await request.ownedWork();
    if (action.atomic) await request.target.unitOfWork.flush();
    else this.#checkFlushed(request, action);
    const outcome = await this.#shown(request, action, result);
    // Otherwise the commit would flush what the ORM linked while the result was shown.
    if (action.atomic) request.target.unitOfWork.forget();
    return outcome;
  }

  /**
   * Sends the parts of a generator; its return value is the result. A generator that is not at its end is stopped, so that its clean-up
   * runs: at an abort, at the current part, and if a part fails, before the reply.
   */
  async #exhaust(
    request: Request,
    action: ActionDefinition,
    generator: Generator | AsyncGenerator,
    parts?: string[],
  ): Promise<unknown> {
    const { signal, target } = request;
    const stop = (): void => void stopQuietly(generator);
    let isDone = false;
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        request.throwIfAborted();
        const step = await generator.next();
        isDone = step.done === true;
        request.throwIfAborted();
        if (step.done) return await step.value;
        const part = await step.value;
        if (!action.atomic) this.#checkFlushed(request, action);
        const { data } = await this.#shown(request, action, part);
        request.throwIfAborted();
        if (parts) parts.push(data);
        else request.part(data);
        await target.ready();
      }
    } finally {
      signal.removeEventListener('abort', stop);
      // Generators take one call after the other: this one also waits for a clean-up that an abort has begun.
      if (!isDone) await stopQuietly(generator);
    }
  }

  async #shown(request: Request, action: ActionDefinition, result: unknown): Promise<Outcome> {
    const status = (result instanceof ActionReply ? result.status : undefined) ?? action.status;
    // Plain data are sent unchanged, unless the action declares which of them may be sent.
    if (!action.reply && isPlainData(result)) return { status, data: encodeData(result) };
    const shown = result instanceof ShownRow ? result.data : await request.target.show(result, request);
    return { status, data: encodeData(shown) };
  }

  /**
   * Refuses changes that an action without a transaction has not flushed: its reply would show rows that are not stored.
   *
   * @throws UnflushedChanges
   */
  #checkFlushed({ target }: Request, action: ActionDefinition): void {
    const changes = target.unitOfWork.unflushed();
    if (changes.length > 0) throw new UnflushedChanges(target.instance.constructor.name, action.member, changes);
  }

  #fail(request: Request, action: ActionDefinition, thrown: unknown): void {
    if (!request.isOver) request.fail(this.errors.translate(thrown, factsOf(request)));
    // The end of an aborted transaction reports nothing new: its method's error was handled already.
    else if (!action.atomic) this.#noteLate(request, thrown);
    request.settle();
  }

  #noteLate(request: Request, thrown: unknown): void {
    if (tellsOf(request.abortReason, thrown)) return;
    this.logger.warn('An action failed after it was abandoned.', { ...factsOf(request), error: thrown });
  }

  #noteDropped(action: ActionDefinition, dropped: readonly string[]): void {
    if (dropped.length === 0 || !this.settings.development) return;
    this.logger.debug('Kwargs that the action does not know were dropped.', { action: action.name, dropped });
  }
}

function checkOf(action: ActionDefinition, raw: Readonly<Record<string, unknown>>): Promise<CheckedKwargs> {
  if (action.kwargs) return checkKwargs(action.kwargs, raw, action);
  const dropped = Object.keys(raw);
  if (action.strict) refuseUnknown(dropped);
  return Promise.resolve({ value: undefined, dropped });
}

/** @throws ValidationFailed if a name is among those that the action refuses */
function refuseNamed(texts: Readonly<Record<string, string>>, names: readonly string[]): void {
  const refused = names.filter((name) => Object.hasOwn(texts, name)).map((name) => [name, [texts[name] ?? '']]);
  if (refused.length > 0) throw ValidationFailed.of(Object.fromEntries(refused));
}

function kwargsWithout(name: string, kwargs: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { [name]: _, ...rest } = kwargs;
  return rest;
}

function isGenerator(value: unknown): value is Generator | AsyncGenerator {
  if (typeof value !== 'object' || value === null) return false;
  const isIterable = Symbol.asyncIterator in value || Symbol.iterator in value;
  return isIterable && 'next' in value && 'return' in value && typeof value.next === 'function';
}

/** Stops a generator. Errors of its clean-up are not sent: the error that made it stop is the reply. */
async function stopQuietly(generator: Generator | AsyncGenerator): Promise<void> {
  try {
    await generator.return(undefined);
  } catch {}
}

/**
 * Whether an error is only the consequence of an abort. The ORM wraps the reason of a cancelled query in its own exception and keeps only
 * the message; Node.js and browsers throw an AbortError.
 */
function tellsOf(reason: Error | undefined, error: unknown): boolean {
  try {
    return error instanceof Error && (error.message === reason?.message || error.name === 'AbortError');
  } catch {
    return false;
  }
}

function factsOf({ target, action, requestId, scope }: Request): Record<string, unknown> {
  return { consumer: target.instance.constructor.name, action, requestId, path: scope.path };
}
