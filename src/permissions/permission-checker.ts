import { NotAuthenticated, NotFound, PermissionDenied, Throttled } from '../errors.js';
import type { PermissionAnswer } from '../inspection.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import {
  type Answer,
  type AnyPermission,
  type Delivery,
  describePermission,
  type PermissionClass,
  type PermissionExpression,
  permissionsIn,
} from './permission.js';
import { AllowAny, isLoggedIn } from './standard-permissions.js';

/** The combined opinion of permissions. `neutral`: no asked permission had an opinion. */
type Verdict = 'granted' | 'refused' | 'neutral';

type Opinion = boolean | undefined;

/** Most permissions answer synchronously, and a promise for each operand would cost more than they do. */
type Eventually<T> = T | Promise<T>;

/** One question to one permission; undefined if the permission has no opinion. */
type Question = (permission: AnyPermission, options: unknown, operand: Operand) => Eventually<Opinion>;

/** A permission in an expression; the same permission with other options is another operand. */
type Operand = Extract<PermissionExpression, PermissionClass | { readonly kind: 'with' }>;

/** The opinions of permissions on one request, and on its object after that was asked for; none is asked twice. */
export type Answers = Map<Operand, Opinion>;

/** The request that an event's subscription came from. */
export interface GrantingRequest {
  readonly context: ActionContext;
  /** Answers that are already known; their questions are not asked again. */
  readonly answers: Answers;
  /**
   * Loads the object of a detail action, for permissions that judge objects.
   *
   * @throws NotFound
   */
  readonly object?: (() => Promise<object>) | undefined;
}

type ResolvePermission = (permission: PermissionClass) => AnyPermission;

/** On which questions the permissions of one action have opinions. */
export interface Opinions {
  /** Whether any delivery needs them: by `canReceive`, or by the permissions that granted its subscription. */
  readonly deliveries: boolean;
  /** Whether each event needs them, not only the subscribing request. */
  readonly events: boolean;
  readonly objects: boolean;
}

/** Asks permissions the four questions; the connection's own container makes them. */
export class PermissionChecker {
  readonly providers: readonly PermissionClass[];
  /** Whether every client may do everything, so that no permission has to be asked. */
  readonly isOpen: boolean;
  /** Composed at the first refusal, and kept. */
  #description: string | undefined;

  /** @param revealsForbidden whether the answer distinguishes a refused object from a missing one */
  constructor(
    readonly expression: PermissionExpression,
    private readonly revealsForbidden = false,
  ) {
    this.providers = permissionsIn(expression);
    this.isOpen = this.providers.every((provider) => provider === AllowAny);
  }

  /** `@Permissions(IsAuthenticated, IsMember)`, for the log. */
  get description(): string {
    this.#description ??= `@Permissions(${operandsOf(this.expression).map(describePermission).join(', ')})`;
    return this.#description;
  }

  /**
   * The opinions of these permissions. They are determined before the first delivery, so that deliveries without any cost nothing. A
   * question may be a field, which only an instance shows.
   */
  opinionsOn({ container }: Scope): Opinions {
    const permissions = this.providers
      .filter((provider) => provider !== AllowAny)
      .map((provider): AnyPermission => container.resolve(provider));
    const answers = (question: keyof AnyPermission): boolean =>
      permissions.some((permission) => permission[question] !== undefined);
    const events = answers('canReceive');
    return { events, deliveries: events || answers('hasPermission'), objects: answers('hasObjectPermission') };
  }

  /** @throws NotAuthenticated while no user is logged in, otherwise PermissionDenied */
  async checkConnect(scope: Scope): Promise<void> {
    const question: Question = (permission, options) =>
      permission.canConnect && yes(permission.canConnect(scope, options));
    if (await this.#allows(scope, question)) return;
    throw isLoggedIn(scope)
      ? new PermissionDenied(undefined, this.#toChange)
      : new NotAuthenticated(undefined, {
          remedy: `No user is logged in: see the middleware, or ${this.description}.`,
        });
  }

  /**
   * @param answers collects the opinion of each permission
   * @throws PermissionDenied
   */
  async checkAction(context: ActionContext, answers: Answers = new Map()): Promise<void> {
    if (await this.#allows(context.scope, onAction(context, answers))) return;
    throw new PermissionDenied(undefined, this.#toChange);
  }

  /**
   * A permission that refuses the action also refuses its object. Otherwise `any(IsOwner, IsAdmin)` would admit a stranger, who is no
   * owner, because IsAdmin has no opinion on objects.
   *
   * @param answers the opinions on the action, if `checkAction` collected them; collects each opinion on the object
   * @throws NotFound, as for a missing object, unless forbidden objects may be revealed
   * @throws PermissionDenied if they may
   */
  async checkObject(context: ActionContext, object: object, answers: Answers = new Map()): Promise<void> {
    const question = onObject(context, onAction(context, answers), async () => object);
    if (await this.#allows(context.scope, noting(answers, question))) return;
    const Refusal = this.revealsForbidden ? PermissionDenied : NotFound;
    throw new Refusal(undefined, this.#toChange);
  }

  /**
   * Whether an event may be sent: the subscribing request would still be allowed, and `canReceive` does not object.
   *
   * @param note called with each permission's answer
   */
  async mayReceive(
    delivery: Delivery,
    { context, answers, object }: GrantingRequest,
    note: (answer: PermissionAnswer) => void = () => {},
  ): Promise<boolean> {
    const ofAction = onAction(context, new Map());
    const ofRequest = remembering(answers, object ? onObject(context, ofAction, object) : ofAction);
    const question: Question = (permission, options, operand) =>
      andThen(ofRequest(permission, options, operand), (isGranted) => {
        if (isGranted === false || !permission.canReceive) return isGranted;
        return yes(permission.canReceive(delivery, options));
      });
    return this.#allows(delivery.scope, (permission, options, operand) => {
      const noted = (answer: boolean | null): void => note({ permission: permission.constructor.name, answer });
      const answered = (answer: Opinion): Opinion => {
        noted(answer ?? null);
        return answer;
      };
      const failed = (error: unknown): never => {
        noted(false);
        throw error;
      };
      return caught(() => andThen(question(permission, options, operand), answered), failed);
    });
  }

  get #toChange(): { readonly remedy: string } {
    return { remedy: `See ${this.description}.` };
  }

  async #allows({ container }: Scope, question: Question): Promise<boolean> {
    const resolve = (permission: PermissionClass): AnyPermission => container.resolve(permission);
    return (await ask(this.expression, question, resolve)) !== 'refused';
  }
}

/** The expressions of a consumer and of its action, as they were written. */
function operandsOf(expression: PermissionExpression): readonly PermissionExpression[] {
  const isAll = typeof expression !== 'function' && expression.kind === 'all';
  return isAll ? expression.operands.flatMap(operandsOf) : [expression];
}

function onAction(context: ActionContext, answers: Answers): Question {
  return remembering(
    answers,
    unlessThrottled(
      context,
      (permission, options) => permission.hasPermission && yes(permission.hasPermission(context, options)),
    ),
  );
}

function onObject(context: ActionContext, ofAction: Question, object: () => Promise<object>): Question {
  return unlessThrottled(context, (permission, options, operand) =>
    andThen(ofAction(permission, options, operand), async (mayAct) => {
      if (mayAct === false || !permission.hasObjectPermission) return mayAct;
      return yes(permission.hasObjectPermission(context, await object(), options));
    }),
  );
}

/** Asks a question only if its answer is not known yet. */
function remembering(answers: Answers, question: Question): Question {
  const noted = noting(answers, question);
  return (permission, options, operand) =>
    answers.has(operand) ? answers.get(operand) : noted(permission, options, operand);
}

function noting(answers: Answers, question: Question): Question {
  return (permission, options, operand) =>
    andThen(question(permission, options, operand), (answer) => {
      answers.set(operand, answer);
      return answer;
    });
}

/** A throttle limits how often a client may ask. At a delivery the client asks for nothing, so a throttle has no opinion. */
function unlessThrottled({ isDelivery }: ActionContext, question: Question): Question {
  if (!isDelivery) return question;
  const unasked = (error: unknown): undefined => {
    if (error instanceof Throttled) return undefined;
    throw error;
  };
  return (permission, options, operand) => caught(() => question(permission, options, operand), unasked);
}

/** Whether an answer is yes. An answer that is neither yes nor no, such as that of a forgotten `return`, counts as no. */
function yes(answer: Answer): Eventually<boolean> {
  return isThenable(answer) ? Promise.resolve(answer).then(Boolean) : Boolean(answer);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** Goes on at once if the value is there. */
function andThen<T, Result>(value: Eventually<T>, next: (value: T) => Eventually<Result>): Eventually<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** @param recover converts an error, whether it is thrown at once or later */
function caught<T>(work: () => Eventually<T>, recover: (error: unknown) => T): Eventually<T> {
  try {
    const result = work();
    return result instanceof Promise ? result.catch(recover) : result;
  } catch (error) {
    return recover(error);
  }
}

/** Asks every permission on which the answer depends. */
function ask(expression: PermissionExpression, question: Question, resolve: ResolvePermission): Eventually<Verdict> {
  if (typeof expression === 'function') return andThen(question(resolve(expression), undefined, expression), opinionOf);
  switch (expression.kind) {
    case 'with':
      return andThen(question(resolve(expression.permission), expression.options, expression), opinionOf);
    case 'not':
      return andThen(ask(expression.operand, question, resolve), opposite);
    case 'all':
      return combine(expression.operands, 'refused', question, resolve);
    case 'any':
      return combine(expression.operands, 'granted', question, resolve);
  }
}

/**
 * The first decisive verdict; otherwise the other opinion if there is one, otherwise neutral. Each operand is asked after the earlier ones
 * have answered.
 *
 * @param index of the operand to ask
 * @param before the opinion of those before it
 */
function combine(
  operands: readonly PermissionExpression[],
  decisive: 'granted' | 'refused',
  question: Question,
  resolve: ResolvePermission,
  index = 0,
  before: Verdict = 'neutral',
): Eventually<Verdict> {
  const operand = operands[index];
  if (!operand) return before;
  return andThen(ask(operand, question, resolve), (opinion) => {
    if (opinion === decisive) return decisive;
    return combine(operands, decisive, question, resolve, index + 1, opinion === 'neutral' ? before : opinion);
  });
}

function opinionOf(answer: boolean | undefined): Verdict {
  if (answer === undefined) return 'neutral';
  return answer ? 'granted' : 'refused';
}

function opposite(verdict: Verdict): Verdict {
  if (verdict === 'neutral') return verdict;
  return verdict === 'granted' ? 'refused' : 'granted';
}
