import type { ActionDeclaration, ModelConsumerTypes, ReplyClass } from '../dispatch/action-declaration.js';
import { declareAction } from '../dispatch/action-declaration.js';
import { type ActionReply, checkFinalStatus } from '../dispatch/reply.js';
import { ConfigurationError } from '../errors.js';
import { isStandardSchema, type KwargsOf, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { ConcreteClass } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';
import { ActionContext } from '../scope/action-context.js';
import type { ViewOf } from '../serializers/model-types.js';
import type { AnySerializer } from '../serializers/serializer.js';
import { checkAsync } from './detached.js';
import { checkHasRules, parameterClass, parameterTypes, writtenTypes } from './parameter-type.js';

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
