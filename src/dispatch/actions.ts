import { longestDelay } from '../clock.js';
import { ConfigurationError } from '../errors.js';
import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import { type Class, ClassMetadata, type ConcreteClass, MemberMetadata } from '../metadata.js';
import { all, checkPermissions, type PermissionExpression } from '../permissions/permission.js';
import { PermissionChecker } from '../permissions/permission-checker.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { toWireName } from '../wire/messages.js';

/** A serializer, or a class whose `@Expose`d properties are sent. */
export type ReplyClass = SerializerClass | ConcreteClass<object>;

/** Carries types only; it never has a value. */
export declare const modelConsumerTypes: unique symbol;

/** A consumer of one model, with what the types of its actions need of it. */
export interface ModelConsumerTypes<Entity, S> {
  readonly [modelConsumerTypes]: { readonly model: Entity; readonly serializer: S };
}

/** The options that `@Action` wrote on a method. */
export interface ActionDeclaration {
  readonly name?: string;
  readonly status?: number;
  readonly atomic?: boolean;
  readonly detached?: boolean;
  readonly strict?: boolean;
  /** Unknown kwargs that are refused with these texts instead of being dropped. */
  readonly refuses?: Readonly<Record<string, string>>;
  /** Whether a request with a `target` goes to the protocol's own action of this name, not to this action. */
  readonly besideTarget?: boolean;
  readonly reply?: ReplyClass;
  readonly permissions?: readonly PermissionExpression[];
  readonly timeLimit?: number;
  /** Whether the first parameter is the object that the client named by its `pk`. */
  readonly isDetail: boolean;
  /** The schema of the kwargs; without one the method takes none. */
  readonly kwargs?: KwargsSchema;
  /** The run-time type of a detail action's first parameter. */
  readonly model?: unknown;
}

/** False if a class removes an action that it inherits. */
const notes = new MemberMetadata<ActionDeclaration | false>('action');

/** Makes a method an action. */
export function declareAction(prototype: object, member: string, declaration: ActionDeclaration): void {
  notes.write(prototype, member, declaration);
}

/** Removes an inherited action from a class and its subclasses. */
export function takeActionAway({ prototype }: Class, member: string): void {
  notes.write(prototype, member, false);
}

/** The actions of a class, including inherited ones, by their methods. */
export function declaredActions(owner: Class): ReadonlyMap<string, ActionDeclaration> {
  return new Map([...notes.read(owner)].flatMap(([member, note]) => (note ? [[member, note] as const] : [])));
}

/** The kind of an action's reply, if its own declaration does not define it. */
export type ReplyShape = 'row' | 'rows' | 'several' | 'nothing' | 'kind';

/** Written by the mixins. An override keeps it, because its type has to fit. */
export const replyShapes = new MemberMetadata<ReplyShape>('reply-shape');

/** The expressions that `@Permissions` wrote on a consumer. */
export const permissionDeclarations = new ClassMetadata<readonly PermissionExpression[]>('permissions');

/** An action in the form that the running application needs, with all defaults applied. */
export interface ActionDefinition extends Omit<ActionDeclaration, 'permissions' | 'name'> {
  readonly member: string;
  /** The action's name in frames to the client; the client may also use the method's name. */
  readonly name: string;
  readonly status: number;
  readonly atomic: boolean;
  readonly detached: boolean;
  readonly strict: boolean;
  readonly timeLimit: number;
  readonly permissions: PermissionChecker;
  /**
   * Whether the action needs no permission, check, object, transaction or filter: the method is called with the context, and its result is
   * sent.
   */
  readonly isPlain: boolean;
}

/** The actions of a consumer class by their names on the wire; a renamed action is also listed under its method's name. */
export type Actions = ReadonlyMap<string, ActionDefinition>;

/** @throws ConfigurationError if two methods have one name, or if options contradict each other */
export function actionsOf(consumer: Class, inherited: readonly PermissionExpression[], settings: Settings): Actions {
  const actions = new Map<string, ActionDefinition>();
  for (const [member, declaration] of declaredActions(consumer)) {
    const action = define(consumer, member, declaration, inherited, settings);
    for (const name of new Set([action.name, toWireName(member)])) {
      const other = actions.get(name);
      if (other) throw claimedTwice(consumer, name, action, other);
      actions.set(name, action);
    }
  }
  return actions;
}

function claimedTwice(
  consumer: Class,
  name: string,
  { member }: ActionDefinition,
  other: ActionDefinition,
): ConfigurationError {
  return new ConfigurationError({
    class: consumer.name,
    member,
    reason: `answers to "${name}", and so does ${other.member}.`,
    remedy: 'Give one of them another name: @Action({ name }).',
  });
}

function define(
  consumer: Class,
  member: string,
  { permissions = [], name, ...declaration }: ActionDeclaration,
  inherited: readonly PermissionExpression[],
  settings: Settings,
): ActionDefinition {
  checkPermissions(`${consumer.name}.${member}`, permissions);
  const { detached = false, status = Status.ok, strict = false } = declaration;
  const isAsync = isAsyncFunction(Reflect.get(consumer.prototype, member));
  const usually = isAsync ? settings.asyncActionsAtomic : settings.syncActionsAtomic;
  const usualLimit = detached ? settings.detachedActionTimeLimit : settings.actionTimeLimit;
  const atomic = declaration.atomic ?? (usually && !detached);
  const checker = new PermissionChecker(all(...inherited, ...permissions), settings.revealForbiddenObjects);
  const { kwargs, reply, isDetail } = declaration;
  return {
    ...declaration,
    member,
    name: name ?? toWireName(member),
    status,
    strict,
    detached,
    atomic,
    timeLimit: checkedLimit(consumer, member, declaration.timeLimit ?? usualLimit),
    permissions: checker,
    isPlain: checker.isOpen && !kwargs && !reply && !isDetail && !atomic && !strict && !declaration.refuses,
  };
}

function checkedLimit(consumer: Class, member: string, timeLimit: number): number {
  if (timeLimit > 0 && timeLimit <= longestDelay) return timeLimit;
  throw new ConfigurationError({
    class: consumer.name,
    member,
    reason: `has a time limit of ${timeLimit} ms.`,
    remedy: `Give one above 0 and below ${longestDelay + 1}, which is 24 days.`,
  });
}

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const AsyncGeneratorFunction = Object.getPrototypeOf(async function* () {}).constructor;

/** Whether a method is an async function. Code compiled to ES2017 or later, which Signalbox requires, keeps that visible. */
export function isAsyncFunction(method: unknown): boolean {
  return method instanceof AsyncFunction || method instanceof AsyncGeneratorFunction;
}
