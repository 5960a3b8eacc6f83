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

/** A serializer, or a class whose `@Expose`d properties are all that gets out. */
export type ReplyClass = SerializerClass | ConcreteClass<object>;

/** Carries types only; no value is ever there. */
export declare const modelConsumerTypes: unique symbol;

/** A consumer of one model, as far as the types of its actions need it. */
export interface ModelConsumerTypes<Entity, S> {
  readonly [modelConsumerTypes]: { readonly model: Entity; readonly serializer: S };
}

/** What `@Action` wrote on a method. */
export interface ActionDeclaration {
  readonly name?: string;
  readonly status?: number;
  readonly atomic?: boolean;
  readonly detached?: boolean;
  readonly strict?: boolean;
  /** Names that are refused with these texts, and not dropped, where the kwargs do not know them. */
  readonly refuses?: Readonly<Record<string, string>>;
  /** Whether a request that names a `target` is that of the protocol, of the same name, and none of this action. */
  readonly besideTarget?: boolean;
  readonly reply?: ReplyClass;
  readonly permissions?: readonly PermissionExpression[];
  readonly timeLimit?: number;
  /** Whether the first parameter is the object that the client named by its `pk`. */
  readonly isDetail: boolean;
  /** What the kwargs are checked with; without one the method takes none. */
  readonly kwargs?: KwargsSchema;
  /** The run-time type of a detail action's first parameter. */
  readonly model?: unknown;
}

/** False where a class takes away what it inherits. */
const notes = new MemberMetadata<ActionDeclaration | false>('action');

/** Makes a method an action. */
export function declareAction(prototype: object, member: string, declaration: ActionDeclaration): void {
  notes.write(prototype, member, declaration);
}

/** The method that a class inherits is no action of it, nor of those that extend it. */
export function takeActionAway({ prototype }: Class, member: string): void {
  notes.write(prototype, member, false);
}

/** The actions of a class, with those that it inherits, by their methods. */
export function declaredActions(owner: Class): ReadonlyMap<string, ActionDeclaration> {
  return new Map([...notes.read(owner)].flatMap(([member, note]) => (note ? [[member, note] as const] : [])));
}

/** What an action replies with, where its own declaration does not say it. */
export type ReplyShape = 'row' | 'rows' | 'several' | 'nothing' | 'kind';

/** Written by the mixins. An override keeps it: its type has to fit. */
export const replyShapes = new MemberMetadata<ReplyShape>('reply-shape');

/** What `@Permissions` wrote on a consumer. */
export const permissionDeclarations = new ClassMetadata<readonly PermissionExpression[]>('permissions');

/** An action as the running application needs it: every option decided. */
export interface ActionDefinition extends Omit<ActionDeclaration, 'permissions' | 'name'> {
  readonly member: string;
  /** The name in frames to the client; the client may use the name of the method as well. */
  readonly name: string;
  readonly status: number;
  readonly atomic: boolean;
  readonly detached: boolean;
  readonly strict: boolean;
  readonly timeLimit: number;
  readonly permissions: PermissionChecker;
  /** Whether nothing is asked, checked, loaded, committed or filtered: the method is called with the context, and answered. */
  readonly isPlain: boolean;
}

/** The actions of a consumer class by their names on the wire; an action with another name answers to its method's as well. */
export type Actions = ReadonlyMap<string, ActionDefinition>;

/** @throws ConfigurationError where two methods claim one name, or an option contradicts another */
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

/** The function itself shows it: compiled code keeps it from ES2017 on, and Signalbox asks for more. */
export function isAsyncFunction(method: unknown): boolean {
  return method instanceof AsyncFunction || method instanceof AsyncGeneratorFunction;
}
