import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';

export type Answer = boolean | Promise<boolean>;

/** An event on its way to one connection. */
export interface Delivery {
  /** The connection of the client that would receive the event. */
  readonly scope: Scope;
  /** The kind of the change; for a signal's event, the name of the signal's events on the wire. */
  readonly action: 'create' | 'update' | 'delete' | (string & {});
  /** The key of the row; null for a signal's event. */
  readonly pk: unknown;
  /** The `data` of the event, as the observer shows them. */
  readonly data: unknown;
}

/**
 * A provider that answers may-this-happen. Every question is optional: a permission that does not answer one has no
 * opinion on it. It may also throw an ApiError of its own, which is then the refusal.
 *
 * ```ts
 * @injectable()
 * class IsMember implements Permission<{ role: 'reader' | 'writer' }> {
 *   constructor(private readonly em: EntityManager) {}
 *   hasPermission({ scope }: ActionContext, { role }: { role: 'reader' | 'writer' }) { … }
 * }
 *
 * @Permissions(all(IsAuthenticated, withOptions(IsMember, { role: 'reader' })))
 * ```
 *
 * A refusal is answered with
 * `{"errors": ["You do not have permission to perform this action."], …, "response_status": 403, "code": "permission_denied"}`.
 */
export interface Permission<Options = undefined> {
  /** Asked during the handshake; a refusal is 401 while the client is not logged in, else 403. */
  canConnect?(scope: Scope, options: Options): Answer;
  /**
   * Asked before every action, and again at deliveries to a subscription that the action made: with its name and the
   * kwargs that it declares or has subscribed with, and `context.isDelivery` is true. A permission that throws `Throttled` has no opinion then.
   */
  hasPermission?(context: ActionContext, options: Options): Answer;
  /**
   * Asked once the object of an action is loaded, and again at deliveries: of a subscription of a row, a row that is refused then is
   * sent as one delete. A refusal of an action is answered as if it were not there (404), so that no client learns which keys
   * exist; the setting `revealForbiddenObjects` makes it 403, and so does a permission that throws `PermissionDenied` itself.
   */
  hasObjectPermission?(context: ActionContext, object: object, options: Options): Answer;
  /** Asked before every event is delivered; a refusal drops it. */
  canReceive?(delivery: Delivery, options: Options): Answer;
}

/** A permission with any options. */
// biome-ignore lint/suspicious/noExplicitAny: options are matched by withOptions; here every permission has to fit
export type AnyPermission = Permission<any>;
export type PermissionClass = ConcreteClass<AnyPermission>;

/** What `@Permissions` takes: data, so that it can be printed. */
export type PermissionExpression =
  | ConcreteClass<Permission>
  | { readonly kind: 'all' | 'any'; readonly operands: readonly PermissionExpression[] }
  | { readonly kind: 'not'; readonly operand: PermissionExpression }
  | { readonly kind: 'with'; readonly permission: PermissionClass; readonly options: unknown };

/** What all questions of a permission together ask of its options; never where none asks for any. */
type OptionsOf<P> = NeverIfUnknown<
  OptionsAt<P, 'canConnect', 1> &
    OptionsAt<P, 'hasPermission', 1> &
    OptionsAt<P, 'hasObjectPermission', 2> &
    OptionsAt<P, 'canReceive', 1>
>;

/** Taken from the question's own parameter: inferred through `Permission<infer Options>` anything would fit. */
type OptionsAt<P, Question extends keyof AnyPermission, Position extends 1 | 2> = P extends {
  [Key in Question]: (...parameters: infer Parameters) => unknown;
}
  ? Required<Parameters> extends { readonly [Key in Position]: infer Options }
    ? Options
    : unknown
  : unknown;

type NeverIfUnknown<T> = unknown extends T ? never : T;

/** Every operand that has an opinion has to say yes. */
export function all(...operands: PermissionExpression[]): PermissionExpression {
  return { kind: 'all', operands };
}

/** One yes is enough; without one, a single no refuses. */
export function any(...operands: PermissionExpression[]): PermissionExpression {
  return { kind: 'any', operands };
}

/** The opposite opinion. No opinion stays none. */
export function not(operand: PermissionExpression): PermissionExpression {
  return { kind: 'not', operand };
}

/** The permission with the options that its own methods declare. */
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
 * @param owner which class or option names the permission
 * @throws ConfigurationError for what is no permission class: an arrow function, an instance, undefined, a class that answers no question
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

/** One that answers none of the questions would allow everything. A field that answers one stands in the text of its class. */
function checkAsks(owner: string, permission: PermissionClass): void {
  const { prototype, name } = permission;
  const texts = classesOf(permission).map(String);
  if (questions.some((question) => question in prototype || texts.some((text) => text.includes(question)))) return;
  const methods = Object.getOwnPropertyNames(prototype).filter((member) => member !== 'constructor');
  const has = methods.length > 0 ? ` It has ${methods.join(', ')}.` : '';
  throw new ConfigurationError({
    class: owner,
    reason: `has the permission ${name}, which answers no question and would allow everything.${has}`,
    remedy: `Give it one of the methods ${questions.join(', ')}.`,
  });
}

/** It and those that it extends. */
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
    reason: `has ${shown} among its permissions, which is no class.`,
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
 * A provider that says which rights a request has, by a name: serializers show fields by it (`rights`).
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
   * Asked once per request, and once per subscription with the request that subscribed; again when `@RevokedBy` says so, and
   * without it for each event of a subscription of a row.
   * Undefined is the least: the fields that need no rights.
   */
  rightsOf(context: ActionContext): Name | undefined | Promise<Name | undefined>;
}

/** What `rights.by` of a model serializer takes: the container makes an instance. */
export type RightsProvider = ConcreteClass<Rights>;

/** The names that a provider of rights may give. */
export type RightsNameOf<Provider> =
  Provider extends ConcreteClass<infer Instance extends Rights>
    ? Exclude<Awaited<ReturnType<Instance['rightsOf']>>, undefined>
    : never;

/** What providers said. Of one that was not asked, the least. */
export type GivenRights = ReadonlyMap<RightsProvider, string | undefined>;
