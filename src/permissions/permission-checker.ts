import { NotAuthenticated, NotFound, PermissionDenied } from '../errors.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import {
  type Answer,
  type AnyPermission,
  type Delivery,
  type PermissionClass,
  type PermissionExpression,
  permissionsIn,
} from './permission.js';
import { AllowAny, isLoggedIn } from './standard-permissions.js';
import { ask, type Question } from './verdict.js';

/** Puts the four questions to permissions that are resolved from the connection's own container. */
export class PermissionChecker {
  /** @param revealsForbidden whether a refused object is told from an absent one */
  constructor(
    private readonly expression: PermissionExpression,
    private readonly revealsForbidden = false,
  ) {}

  /** Whether everyone may do everything, so that nobody has to be asked. */
  get isOpen(): boolean {
    return this.providers.every((provider) => provider === AllowAny);
  }

  get providers(): readonly PermissionClass[] {
    return permissionsIn(this.expression);
  }

  /**
   * Whether a delivery has to be asked for at all. Known before the first one, so that the others cost nothing. A question
   * may be a field, which only an instance shows.
   */
  asksForDeliveries(scope: Scope): boolean {
    return this.#anyAnswers(scope, 'canReceive', 'hasPermission');
  }

  /** Whether an object has to be asked for at all. */
  asksForObjects(scope: Scope): boolean {
    return this.#anyAnswers(scope, 'hasObjectPermission');
  }

  /** @throws NotAuthenticated while nobody is logged in, else PermissionDenied */
  async checkConnect(scope: Scope): Promise<void> {
    const question: Question = (permission, options) =>
      permission.canConnect && yes(permission.canConnect(scope, options));
    if (await this.#allows(scope, question)) return;
    throw isLoggedIn(scope) ? new PermissionDenied() : new NotAuthenticated();
  }

  /** @throws PermissionDenied */
  async checkAction(context: ActionContext): Promise<void> {
    if (!(await this.#allows(context.scope, onAction(context)))) throw new PermissionDenied();
  }

  /**
   * A permission that refuses the action refuses its object too. Else `any(IsOwner, IsAdmin)` would let a stranger in: no
   * owner, and an administrator's permission that has no opinion on objects.
   *
   * @throws NotFound, as for an object that is not there, unless forbidden ones may be told
   * @throws PermissionDenied where they may
   */
  async checkObject(context: ActionContext, object: object): Promise<void> {
    const ofAction = onAction(context);
    const question: Question = async (permission, options) => {
      const mayAct = await ofAction(permission, options);
      if (mayAct === false || !permission.hasObjectPermission) return mayAct;
      return yes(permission.hasObjectPermission(context, object, options));
    };
    if (await this.#allows(context.scope, question)) return;
    throw this.revealsForbidden ? new PermissionDenied() : new NotFound();
  }

  /**
   * Asks again, for every event: what let a client subscribe may not hold any more.
   *
   * @param context the event as an action: its name is `create`, `update` or `delete`, its kwargs those of the subscription
   */
  async mayReceive(delivery: Delivery, context: ActionContext): Promise<boolean> {
    const ofAction = onAction(context);
    return this.#allows(delivery.scope, async (permission, options) => {
      const mayAct = await ofAction(permission, options);
      if (mayAct === false || !permission.canReceive) return mayAct;
      return yes(permission.canReceive(delivery, options));
    });
  }

  #anyAnswers({ container }: Scope, ...questions: readonly (keyof AnyPermission)[]): boolean {
    return this.providers.some((provider) => {
      if (provider === AllowAny) return false;
      const permission: AnyPermission = container.resolve(provider);
      return questions.some((question) => permission[question] !== undefined);
    });
  }

  async #allows({ container }: Scope, question: Question): Promise<boolean> {
    const resolve = (permission: PermissionClass): AnyPermission => container.resolve(permission);
    return (await ask(this.expression, question, resolve)) !== 'refused';
  }
}

function onAction(context: ActionContext): Question {
  return (permission, options) => permission.hasPermission && yes(permission.hasPermission(context, options));
}

/** Whoever answers at all says yes or no: a forgotten `return` is no missing opinion. */
async function yes(answer: Answer): Promise<boolean> {
  return Boolean(await answer);
}
