import 'reflect-metadata';
import {
  type ActionDeclaration,
  declareAction,
  isAsyncFunction,
  type ModelConsumerTypes,
  type ReplyClass,
} from '../dispatch/actions.js';
import { type ActionReply, checkFinalStatus } from '../dispatch/reply.js';
import { ConfigurationError } from '../errors.js';
import { hasRules, isStandardSchema, type KwargsOf, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import { type ConcreteClass, MemberMetadata } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';
import { ActionContext } from '../scope/action-context.js';
import type { ViewOf } from '../serializers/model-types.js';
import type { AnySerializer } from '../serializers/serializer.js';

/**
 * Options of `@Action` and `@DetailAction`.
 *
 * @typeParam Schema the class or schema of the kwargs
 * @typeParam View the serializer or class of the reply
 */
export interface ActionOptions<Schema extends KwargsSchema, View extends ReplyClass> {
  /** The action's name on the wire; default the method's name in snake_case, which stays valid beside it. */
  readonly name?: string;
  /** The `response_status` of a success, 200 to 599 and not 206; default 200. */
  readonly status?: number;
  /**
   * Whether it runs in a transaction, which is committed before the reply. Default: where the method is no async function and no async
   * generator (settings `syncActionsAtomic`, `asyncActionsAtomic`).
   */
  readonly atomic?: boolean;
  /** Does not hold up the requests behind it, and is aborted when the client leaves. Default false. */
  readonly detached?: boolean;
  /** The class or schema of its kwargs; default the type of the parameter. */
  readonly kwargs?: Schema;
  /** Answers 400 to unknown kwargs, instead of dropping them. Default false. */
  readonly strict?: boolean;
  /**
   * A serializer, or a class whose `@Expose`d properties are all that gets out. What the method returns has to fit. An
   * entity that is shown otherwise than it is does not: `return reply(entity, { serializer })`, which clients' types see.
   */
  readonly reply?: View;
  /** Asked besides those of the consumer. */
  readonly permissions?: readonly PermissionExpression[];
  /**
   * In milliseconds; then the client is answered 504 and `context.signal` is aborted. Default the setting `actionTimeLimit` (15 000), of a
   * detached action `detachedActionTimeLimit` (3 600 000).
   */
  readonly timeLimit?: number;
}

type Awaitable<T> = T | Promise<T>;
type Shown<View> = View | readonly View[];
type Result<View> = Awaitable<Shown<View> | ActionReply<Shown<View>>>;

/** What a method with a declared reply may return. */
export type ReplyFor<View extends ReplyClass> = [View] extends [never]
  ? unknown
  : Result<ViewOfReply<View>> | Generator<ViewOfReply<View>, unknown> | AsyncGenerator<ViewOfReply<View>, unknown>;

export type ViewOfReply<View> =
  View extends ConcreteClass<infer Instance> ? (Instance extends AnySerializer ? ViewOf<Instance> : Instance) : never;

/** A text where there is none, so that the compiler's complaint says so. */
type ModelOf<Consumer> =
  Consumer extends ModelConsumerTypes<infer Entity, unknown> ? Entity : 'the consumer has no model to look up';

type KwargsFor<Schema extends KwargsSchema> = [Schema] extends [never] ? never : KwargsOf<Schema>;

/**
 * A method that clients may call. Its parameters are the kwargs, checked by their class, and the context; both may be
 * left out.
 *
 * ```ts
 * class AddNote { @IsInt() room!: number; @Length(1, 500) text!: string }
 *
 * @Action({ status: 201 })
 * async addNote({ room, text }: AddNote, { scope }: ActionContext) { return { room, text, by: scope.user }; }
 * ```
 *
 * ```json
 * {"action": "add_note", "request_id": 1, "room": 4, "text": "hi"}
 * {"errors": [], "data": {"room": 4, "text": "hi", "by": "ann"}, "action": "add_note", "response_status": 201, "request_id": 1}
 * ```
 *
 * @throws ConfigurationError where the class is defined, for a parameter whose type does not exist at run time, a kwargs
 * class without rules, `atomic` together with `detached`, and `detached` on a method that is not async
 */
export function Action<Schema extends KwargsSchema = never, View extends ReplyClass = never>(
  options: ActionOptions<Schema, View> = {},
) {
  return <Method extends (kwargs: KwargsFor<Schema>, context: ActionContext) => ReplyFor<View>>(
    prototype: object,
    member: string,
    _descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    const kwargs = options.kwargs ?? kwargsAt(prototype, member, 0);
    write(prototype, member, options, { isDetail: false, ...(kwargs && { kwargs }) });
  };
}

/**
 * An action on one object of the consumer's model: the client names it by `pk`; the method gets it loaded, after every
 * permission was asked for it. 404 where it is not there. Further kwargs come second, the context last.
 *
 * ```ts
 * @DetailAction()
 * archive(room: Room) { room.archived = true; return room; }
 * ```
 *
 * ```json
 * {"action": "archive", "request_id": 2, "pk": 4}
 * {"errors": [], "data": {"id": 4, "archived": true}, "action": "archive", "response_status": 200, "request_id": 2}
 * ```
 */
export function DetailAction<Schema extends KwargsSchema = never, View extends ReplyClass = never>(
  options: ActionOptions<Schema, View> = {},
) {
  return <
    Consumer extends object,
    Method extends (object: ModelOf<Consumer>, kwargs: KwargsFor<Schema>, context: ActionContext) => ReplyFor<View>,
  >(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    const kwargs = options.kwargs ?? kwargsAt(prototype, member, 1);
    const [model] = writtenTypes(prototype, member) ?? [];
    write(prototype, member, options, { isDetail: true, model, ...(kwargs && { kwargs }) });
  };
}

/** The kwargs class that the method's own parameter names; undefined where it takes none. */
function kwargsAt(prototype: object, member: string, position: number): ConcreteClass<object> | undefined {
  const types = parameterTypes(prototype, member, position);
  if (position >= types.length || types[position] === ActionContext) return undefined;
  const kwargs = parameterClass(prototype, member, position);
  checkHasRules(prototype, member, kwargs);
  return kwargs;
}

function write(
  prototype: object,
  member: string,
  options: Omit<ActionDeclaration, 'isDetail' | 'kwargs'> & { readonly kwargs?: KwargsSchema },
  parameters: Pick<ActionDeclaration, 'isDetail' | 'kwargs' | 'model'>,
): void {
  if (options.atomic && options.detached) {
    throw new ConfigurationError({
      class: prototype.constructor.name,
      member,
      reason: 'is atomic and detached: its transaction would stay open for as long as it runs.',
      remedy: 'Drop one of the two, and open a transaction inside where it is needed: em.transactional(…).',
    });
  }
  if (options.status !== undefined) checkFinalStatus(options.status, prototype.constructor.name, member);
  if (options.detached) checkAsync(prototype, member, Reflect.get(prototype, member));
  const { kwargs } = options;
  if (kwargs && !isStandardSchema(kwargs)) checkHasRules(prototype, member, kwargs);
  declareAction(prototype, member, { ...options, ...parameters });
}

/** Which methods run on their own. */
export const detachedDeclarations = new MemberMetadata<true>('detached');

/**
 * A method that runs in the background: its caller goes on at once, and awaiting it waits for nothing. Called from an
 * action, it begins when the action has been answered, so that it sees what was committed; of an action that failed it does
 * not begin. `this.signal` is aborted when the connection or the stream ends, or the server closes. What it throws is logged.
 *
 * ```ts
 * @Action() async watch() { await this.poll(); return 'watching'; }
 *
 * @Detached() protected async poll() {
 *   for await (const price of this.prices.stream({ signal: this.signal })) this.sendJson({ price });
 * }
 * ```
 *
 * @throws ConfigurationError where the class is defined, for a method that is not async
 */
export function Detached() {
  return <Method extends (...parameters: never) => Promise<void>>(
    prototype: object,
    member: string,
    { value }: TypedPropertyDescriptor<Method>,
  ): void => {
    checkAsync(prototype, member, value);
    detachedDeclarations.write(prototype, member, true);
  };
}

/** @throws ConfigurationError for a method that would hold up its caller */
export function checkAsync(prototype: object, member: string, method: unknown): void {
  if (isAsyncFunction(method)) return;
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: 'is detached, and no async function: it would hold up everybody until it returned.',
    remedy: 'Make it async.',
  });
}

const shapeless: ReadonlySet<unknown> = new Set([Object, Function, Array, String, Number, Boolean, Promise, undefined]);

/**
 * The class of a method's parameter, as the compiler wrote it down.
 *
 * @throws ConfigurationError where the type does not exist at run time
 */
export function parameterClass(prototype: object, member: string, position: number): ConcreteClass<object> {
  const type = parameterTypes(prototype, member, position)[position];
  if (!shapeless.has(type)) return type as ConcreteClass<object>;
  if (type === Function) throw importedAsType(prototype, member, position);
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `the type of parameter ${position + 1} does not exist at run time (it is ${nameOf(type)} there): an \`import type\`, an inline object type, an interface, a union or an array.`,
    remedy: 'Declare a class and import it as a value, or name it: @Action({ kwargs: TheClass }).',
  });
}

/** What the compiler writes for a class that is there as a type only; also for a type of functions, which no method has for a parameter. */
function importedAsType(prototype: object, member: string, position: number): ConfigurationError {
  return new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `the class of parameter ${position + 1} is imported as a type, so that it does not exist at run time.`,
    remedy: "Import it as a value, without `type`. The context too: import { ActionContext } from 'signalbox'.",
  });
}

/** @throws ConfigurationError for a class that nothing would be let through */
export function checkHasRules(prototype: object, member: string, kwargs: ConcreteClass<object>): void {
  if (hasRules(kwargs)) return;
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `its kwargs class ${kwargs.name} has no rule, so that nothing a client sends would reach the method.`,
    remedy: `Put class-validator decorators on the properties of ${kwargs.name}, for example @IsInt().`,
  });
}

/**
 * @param position the parameter that is asked for
 * @throws ConfigurationError where the compiler writes no types down, and the method has a parameter there
 */
export function parameterTypes(prototype: object, member: string, position: number): readonly unknown[] {
  const types = writtenTypes(prototype, member);
  if (types) return types;
  if (countParameters(prototype, member) <= position) return [];
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: 'the compiler wrote no types down for it.',
    remedy:
      'Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json, and compile with tsc: tsx and esbuild leave the types out. ' +
      'Or name the class of the kwargs, which needs no types: @Action({ kwargs: TheClass }).',
  });
}

/** Undefined where the compiler writes none down. @throws ConfigurationError for standard decorators */
export function writtenTypes(prototype: object, member: string): readonly unknown[] | undefined {
  checkLegacy(member);
  return Reflect.getMetadata('design:paramtypes', prototype, member);
}

function countParameters(prototype: object, member: string): number {
  const method: unknown = Reflect.get(prototype, member);
  return typeof method === 'function' ? method.length : 0;
}

/** Standard decorators get a context object where legacy ones get the member's name. */
function checkLegacy(member: unknown): void {
  if (typeof member === 'string') return;
  const name = typeof member === 'object' && member !== null && 'name' in member ? String(member.name) : 'a member';
  throw new ConfigurationError({
    class: name,
    reason: 'is decorated by a standard decorator, which has no types to look at.',
    remedy: 'Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json.',
  });
}

function nameOf(type: unknown): string {
  return typeof type === 'function' ? type.name : String(type);
}
