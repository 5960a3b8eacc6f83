import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';

export type Answer = boolean | Promise<boolean>;

/** An event on its way to one connection. */
export interface Delivery {
  /** The connection of the client that would receive the event. */
  readonly scope: Scope;
  /** The kind of the change; for a signal's event, the `action` of its frames. */
  readonly action: 'create' | 'update' | 'delete' | (string & {});
  /** The key of the row; null for a signal's event. */
  readonly pk: unknown;
  /** The `data` of the event, as the observer shows them. */
  readonly data: unknown;
}

/**
 * A provider that answers whether something may happen. Every question is optional: a permission without its method has no opinion on it. A
 * method may also throw an ApiError of its own, which is then the refusal.
 *
 * ```ts
 * @injectable()
 * class IsMember implements Permission<{ role: 'reader' | 'writer' }> {
 *   constructor(private readonly em: EntityManager) {}
 *   hasPermission({ scope }: ActionContext, { role }: { role: 'reader' | 'writer' }) { … }
 * }
 * @Permissions(all(IsAuthenticated, withOptions(IsMember, { role: 'reader' })))
 * ```
 *
 * A refusal is answered with `{"errors": ["You do not have permission to perform this action."], …, "response_status": 403, "code":
 * "permission_denied"}`.
 */
export interface Permission<Options = undefined> {
  /** Called during the handshake. A refusal is 401 while no user is logged in, otherwise 403. */
  canConnect?(scope: Scope, options: Options): Answer;
  /**
   * Called before every action, and again for deliveries to a subscription that the action made: then with the action's name and the kwargs
   * that it declares or has subscribed with, and with `context.isDelivery`. A permission that throws `Throttled` at a delivery has no
   * opinion.
   */
  hasPermission?(context: ActionContext, options: Options): Answer;
  /**
   * Called after the object of an action is loaded, and again for deliveries: if it refuses a row that is subscribed, the client gets one
   * delete for it. A refused action is answered as if the object were missing (404), so that clients cannot find out which keys exist. The
   * setting `revealForbiddenObjects` makes it 403, and so does a permission that throws `PermissionDenied` itself.
   */
  hasObjectPermission?(context: ActionContext, object: object, options: Options): Answer;
  /** Called before every event is delivered; a refusal drops the event. */
  canReceive?(delivery: Delivery, options: Options): Answer;
}

/** A permission with any options. */
// biome-ignore lint/suspicious/noExplicitAny: options are matched by withOptions; here every permission has to fit
export type AnyPermission = Permission<any>;
export type PermissionClass = ConcreteClass<AnyPermission>;

/** The arguments of `@Permissions`: data, so that they can be printed. */
export type PermissionExpression =
  | ConcreteClass<Permission>
  | { readonly kind: 'all' | 'any'; readonly operands: readonly PermissionExpression[] }
  | { readonly kind: 'not'; readonly operand: PermissionExpression }
  | { readonly kind: 'with'; readonly permission: PermissionClass; readonly options: unknown };

/** The options that all questions of a permission need together; never if none takes any. */
type OptionsOf<P> = NeverIfUnknown<
  OptionsAt<P, 'canConnect', 1> &
    OptionsAt<P, 'hasPermission', 1> &
    OptionsAt<P, 'hasObjectPermission', 2> &
    OptionsAt<P, 'canReceive', 1>
>;

/** The options parameter of one question. Inference through `Permission<infer Options>` would accept anything. */
type OptionsAt<P, Question extends keyof AnyPermission, Position extends 1 | 2> = P extends {
  [Key in Question]: (...parameters: infer Parameters) => unknown;
}
  ? Required<Parameters> extends { readonly [Key in Position]: infer Options }
    ? Options
    : unknown
  : unknown;

type NeverIfUnknown<T> = unknown extends T ? never : T;

/** Requires a yes of every operand that has an opinion. */
export function all(...operands: PermissionExpression[]): PermissionExpression {
  return { kind: 'all', operands };
}

/** Requires one yes. If no operand says yes, a single no refuses. */
export function any(...operands: PermissionExpression[]): PermissionExpression {
  return { kind: 'any', operands };
}

/** The opposite opinion; no opinion stays no opinion. */
export function not(operand: PermissionExpression): PermissionExpression {
  return { kind: 'not', operand };
}

/** A permission with the options that its methods declare. */
export function withOptions<P extends AnyPermission>(
  permission: ConcreteClass<P>,
  options: NoInfer<OptionsOf<P>>,
): PermissionExpression {
  return { kind: 'with', permission, options };
}

/** `all(IsAuthenticated, not(IsBanned))` */
export function describePermission(expression: PermissionExpression): string {
  if (typeof expression === 'function') return expression.name;
  if (expression.kind === 'not') return `not(${describePermission(expression.operand)})`;
  if (expression.kind === 'with')
    return `withOptions(${expression.permission.name}, ${JSON.stringify(expression.options)})`;
  return `${expression.kind}(${expression.operands.map(describePermission).join(', ')})`;
}

/**
 * @param owner the class or option that names the permission
 * @throws ConfigurationError for what is no permission class: an arrow function, an instance, undefined, or a class that answers no
 * question
 */
export function checkPermissions(owner: string, expressions: readonly unknown[]): void {
  for (const expression of expressions) {
    if (typeof expression === 'function' && expression.prototype !== undefined) {
      checkAsks(owner, expression as PermissionClass);
      continue;
    }
    const { operands, operand, permission } = partsOf(expression);
    const inner = operands ?? operand ?? permission;
    if (inner !== undefined) checkPermissions(owner, Array.isArray(inner) ? inner : [inner]);
    else if (!Array.isArray(operands)) throw notAPermission(owner, expression);
  }
}

/** The questions that a permission may answer. */
const questions = ['canConnect', 'hasPermission', 'hasObjectPermission', 'canReceive'] as const;

/**
 * Refuses a permission that answers none of the questions: it would allow everything. A question that is a field is found in the text of
 * its class.
 */
function checkAsks(owner: string, permission: PermissionClass): void {
  const { prototype, name } = permission;
  const texts = classesOf(permission).map(String);
  if (questions.some((question) => question in prototype || texts.some((text) => text.includes(question)))) return;
  const methods = Object.getOwnPropertyNames(prototype).filter((member) => member !== 'constructor');
  const has = methods.length > 0 ? ` It has ${methods.join(', ')}.` : '';
  throw new ConfigurationError({
    class: owner,
    reason: `has the permission ${name}, which implements no question and would allow everything.${has}`,
    remedy: `Give it one of the methods ${questions.join(', ')}.`,
  });
}

/** The class and those that it extends. */
function classesOf(permission: PermissionClass): readonly PermissionClass[] {
  const parent: unknown = Object.getPrototypeOf(permission);
  return typeof parent === 'function' && parent !== Function.prototype
    ? [permission, ...classesOf(parent as PermissionClass)]
    : [permission];
}

function partsOf(expression: unknown): Readonly<Record<string, unknown>> {
  const isExpression = typeof expression === 'object' && expression !== null && 'kind' in expression;
  return isExpression ? (expression as Readonly<Record<string, unknown>>) : {};
}

function notAPermission(owner: string, given: unknown): ConfigurationError {
  const isInstance = typeof given === 'object' && given !== null;
  const shown =
    typeof given === 'function' ? 'a function' : isInstance ? `an instance of ${given.constructor.name}` : given;
  return new ConfigurationError({
    class: owner,
    reason: `has ${shown} among its permissions, which is not a class.`,
    remedy:
      given === undefined
        ? 'Look for a circular import.'
        : isInstance
          ? 'Give the class; the container builds it.'
          : 'Write a class, which the container builds: class IsMember implements Permission { hasPermission(context: ActionContext) { … } }.',
  });
}

/** The permission classes of an expression. */
export function permissionsIn(expression: PermissionExpression): readonly PermissionClass[] {
  if (typeof expression === 'function') return [expression];
  if (expression.kind === 'not') return permissionsIn(expression.operand);
  if (expression.kind === 'with') return [expression.permission];
  return expression.operands.flatMap(permissionsIn);
}

/**
 * A provider that returns the rights of a request, as a name by which serializers show fields (`rights`).
 *
 * ```ts
 * @injectable()
 * class StaffRights implements Rights<'hr' | 'lead'> {
 *   constructor(private readonly em: EntityManager) {}
 *   async rightsOf({ scope }: ActionContext) { return (await this.em.findOne(Staff, { user: scope.user }))?.rights; }
 * }
 * ```
 */
export interface Rights<Name extends string = string> {
  /**
   * Called once per request, and once per subscription with the subscribing request. For a subscription it is called again when a
   * `@RevokedBy` rule applies, or, without such a rule, for each event of a row's subscription.
   *
   * Undefined means no rights: the client sees only fields that need none.
   */
  rightsOf(context: ActionContext): Name | undefined | Promise<Name | undefined>;
}

/** The option `rights.by` of a model serializer: the container makes an instance. */
export type RightsProvider = ConcreteClass<Rights>;

/** The names that a provider of rights can return. */
export type RightsNameOf<Provider> =
  Provider extends ConcreteClass<infer Instance extends Rights>
    ? Exclude<Awaited<ReturnType<Instance['rightsOf']>>, undefined>
    : never;

/** The rights that providers returned. A provider that is missing grants none. */
export type GivenRights = ReadonlyMap<RightsProvider, string | undefined>;
