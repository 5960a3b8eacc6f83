import { UnflushedChanges } from '../errors.js';
import { checkKwargs, refuseUnknown } from '../kwargs/kwargs-checker.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import { encodeData } from '../wire/codec.js';
import type { ActionTarget } from './action-target.js';
import type { ActionDefinition } from './actions.js';
import type { Outcome } from './exchange.js';
import { ActionReply } from './reply.js';

type Method = (...parameters: unknown[]) => unknown;

export interface ActionRunParts {
  readonly target: ActionTarget;
  readonly action: ActionDefinition;
  readonly context: ActionContext;
  readonly part: (data: string) => void;
  readonly unitOfWork: UnitOfWork;
  /** Told of names that nobody asked for; none in production. */
  readonly developmentLog: Logger | undefined;
}

/**
 * The steps of one action between its name and its outcome. They run inside the action's transaction where it has one, so
 * that what permissions read is what the action changes.
 */
export class ActionRun {
  readonly #parts: ActionRunParts;

  constructor(parts: ActionRunParts) {
    this.#parts = parts;
  }

  async outcome(): Promise<Outcome> {
    const { target, action, context, unitOfWork } = this.#parts;
    await action.permissions.checkAction(context);
    const parameters = await this.#parameters();
    context.signal.throwIfAborted();
    const method: Method = Reflect.get(target.instance, action.member);
    const result = await this.#exhaust(await method.call(target.instance, ...parameters));
    if (action.atomic) await unitOfWork.flush();
    else this.#checkFlushed();
    return this.#toOutcome(result);
  }

  async #parameters(): Promise<unknown[]> {
    const { target, action, context } = this.#parts;
    const kwargs = await this.#kwargs();
    if (!action.isDetail) return [...kwargs, context];
    const object = await target.loadObject(context);
    await action.permissions.checkObject(context, object);
    return [object, ...kwargs, context];
  }

  /** One parameter, or none where the action takes none. The context has all that came. */
  async #kwargs(): Promise<unknown[]> {
    const { target, action, context } = this.#parts;
    const raw = action.isDetail ? without(target.lookupKwarg, context.kwargs) : context.kwargs;
    if (!action.kwargs) {
      if (action.strict) refuseUnknown(Object.keys(raw));
      this.#noteDropped(Object.keys(raw));
      return [];
    }
    const { value, dropped } = await checkKwargs(action.kwargs, raw, action);
    this.#noteDropped(dropped);
    return [value];
  }

  #noteDropped(dropped: readonly string[]): void {
    const { action, developmentLog } = this.#parts;
    if (dropped.length > 0)
      developmentLog?.debug('Kwargs that the action does not know were dropped.', { action: action.name, dropped });
  }

  /** Sends the parts of a generator; its return value is the result. */
  async #exhaust(result: unknown): Promise<unknown> {
    if (!isGenerator(result)) return result;
    const { signal } = this.#parts.context;
    let stopped: Promise<void> | undefined;
    const stop = (): void => {
      stopped = stopQuietly(result);
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (let step = await result.next(); ; step = await result.next()) {
        signal.throwIfAborted();
        if (step.done) return await step.value;
        const part = await step.value;
        if (!this.#parts.action.atomic) this.#checkFlushed();
        const { data } = await this.#toOutcome(part);
        signal.throwIfAborted();
        this.#parts.part(data);
        await this.#parts.target.ready();
        signal.throwIfAborted();
      }
    } finally {
      signal.removeEventListener('abort', stop);
      await stopped;
    }
  }

  /**
   * Without a transaction nobody flushes behind the action: its reply would show rows that are not stored.
   *
   * @throws UnflushedChanges
   */
  #checkFlushed(): void {
    const { action, target, unitOfWork } = this.#parts;
    const changes = unitOfWork.unflushed();
    if (changes.length > 0) throw new UnflushedChanges(target.instance.constructor.name, action.member, changes);
  }

  /** Encoded here, before the commit: what cannot be shown must not have happened. */
  async #toOutcome(result: unknown): Promise<Outcome> {
    const { target, action, context } = this.#parts;
    const status = (result instanceof ActionReply ? result.status : undefined) ?? action.status;
    return { status, data: encodeData(await target.show(result, action, context)) };
  }
}

function without(name: string, kwargs: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { [name]: _, ...rest } = kwargs;
  return rest;
}

/** Whoever aborted it has been answered for it; what its clean-up throws, at once or later, is nobody's answer. */
async function stopQuietly(generator: Generator | AsyncGenerator): Promise<void> {
  try {
    await generator.return(undefined);
  } catch {}
}

function isGenerator(value: unknown): value is Generator | AsyncGenerator {
  if (typeof value !== 'object' || value === null) return false;
  const isIterable = Symbol.asyncIterator in value || Symbol.iterator in value;
  return isIterable && 'next' in value && 'return' in value && typeof value.next === 'function';
}
