import { checkClassIsOurs } from '../copies.js';
import { detachedDeclarations } from '../decorators/action.js';
import {
  type ConsumerOptions,
  consumerDeclarations,
  groupDeclarations,
  messageDeclarations,
} from '../decorators/consumer.js';
import { type Actions, actionsOf, permissionDeclarations } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import { isStandardSchema } from '../kwargs/kwargs-checker.js';
import { checkTransformer } from '../kwargs/transformer-copies.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { type Observer, observersOf } from '../observers/observer.js';
import { consumerGroupDeclarations } from '../observers/observer-declaration.js';
import { revocationDeclarations } from '../observers/revocation.js';
import { all, checkPermissions, type PermissionExpression, permissionsIn } from '../permissions/permission.js';
import { PermissionChecker } from '../permissions/permission-checker.js';
import { knowsConnectionOnly } from '../permissions/standard-permissions.js';
import type { Settings } from '../settings.js';
import { ApiConsumer } from './api-consumer.js';
import { BaseModelConsumer, modelOf, narrowingOf, overrides, settingsOf } from './model-consumer.js';

export type ConsumerClass = ConcreteClass<ApiConsumer>;

/** What decorators wrote on a consumer class and on those it extends, read once when the application starts. */
export interface CompiledConsumer {
  readonly consumer: ConsumerClass;
  readonly actions: Actions;
  /** By the member that observes. */
  readonly observers: ReadonlyMap<string, Observer>;
  readonly observersById: ReadonlyMap<string, Observer>;
  readonly permission: PermissionExpression;
  readonly permissions: PermissionChecker;
  /** What `@Consumer` was given. */
  readonly options: ConsumerOptions;
  /** The groups that each connection joins. */
  readonly groups: readonly string[];
  /** The methods that take messages, by type. */
  readonly messages: ReadonlyMap<string, string>;
  readonly detached: readonly string[];
  /** The model of a model consumer. */
  readonly model: ConcreteClass | undefined;
  /** The kwarg by which clients name an object. */
  readonly lookupKwarg: string;
  /** Whether its query may leave rows out. */
  readonly isNarrowed: boolean;
  /** Whether no event has to be asked for: no permission stands on it or on one of its actions, and its query leaves no row out. */
  readonly isOpen: boolean;
  /** Whether `getActionName` is overridden: the name of an action is not its `action` then. */
  readonly takesActionName: boolean;
}

/**
 * @param id tells this class from others of the same name, alike in every process
 * @throws ConfigurationError for everything that could not work
 */
export function compileConsumer(
  consumer: ConsumerClass,
  id: string,
  defaults: readonly PermissionExpression[],
  settings: Settings,
): CompiledConsumer {
  checkClassIsOurs(consumer);
  checkDecorated(consumer);
  checkPermissions(consumer.name, permissionDeclarations.find(consumer) ?? []);
  const permission = all(...(permissionDeclarations.find(consumer) ?? defaults));
  const actions = actionsOf(consumer, [permission], settings);
  checkDetailActions(consumer, actions);
  const observers = observersOf(consumer, id);
  checkCopies(consumer, actions, observers);
  const model = consumer.prototype instanceof BaseModelConsumer ? modelOf(consumer.prototype) : undefined;
  const permissions = new PermissionChecker(permission);
  checkRevocations(consumer, [permission, ...[...actions.values()].map((action) => action.permissions.expression)], {
    observers,
    actions,
  });
  if (model) checkGroups(consumer, observers, model);
  const isNarrowed = narrowingOf(consumer) !== undefined || overrides(consumer, 'getObject');
  return {
    consumer,
    actions,
    observers,
    observersById: new Map([...observers.values()].map((observer) => [observer.id, observer])),
    permission,
    permissions,
    options: optionsOf(consumer),
    groups: groupDeclarations.find(consumer) ?? [],
    messages: messagesOf(consumer),
    detached: [...detachedDeclarations.read(consumer).keys()],
    model,
    lookupKwarg: model ? settingsOf(consumer.prototype).lookupUrlKwarg : 'pk',
    isNarrowed,
    isOpen: !isNarrowed && permissions.isOpen && [...actions.values()].every((action) => action.permissions.isOpen),
    takesActionName: consumer.prototype['getActionName'] !== ApiConsumer.prototype['getActionName'],
  };
}

/** What another copy of a package wrote down does nothing here, and says nothing. */
function checkCopies(consumer: ConsumerClass, actions: Actions, observers: ReadonlyMap<string, Observer>): void {
  const declared = [...actions.values()];
  const shown = [...declared.map(({ reply }) => reply), ...[...observers.values()].map(({ serializer }) => serializer)];
  const own = consumer.prototype instanceof BaseModelConsumer ? settingsOf(consumer.prototype).serializer : undefined;
  for (const each of [own, ...shown]) if (each) checkClassIsOurs(each);
  for (const { kwargs, reply } of declared) {
    if (kwargs && !isStandardSchema(kwargs)) checkTransformer(kwargs);
    if (reply) checkTransformer(reply);
  }
}

function checkDecorated(consumer: ConsumerClass): void {
  if (!(consumer.prototype instanceof ApiConsumer)) {
    throw new ConfigurationError({
      class: consumer.name,
      reason: 'is routed, and is no consumer.',
      remedy: 'Let it extend ApiConsumer or mix(ModelConsumer(…), …).',
    });
  }
  if (consumerDeclarations.isOn(consumer)) return;
  throw new ConfigurationError({
    class: consumer.name,
    reason: 'is routed without a decorator of its own, so that its constructor would be handed nothing.',
    remedy: 'Put @Consumer() on it.',
  });
}

function optionsOf(consumer: ConsumerClass): ConsumerOptions {
  const options = consumerDeclarations.find(consumer) ?? {};
  if (options.binary && consumer.prototype['onBinary'] === ApiConsumer.prototype['onBinary']) {
    throw new ConfigurationError({
      class: consumer.name,
      reason: 'declares binary frames, and takes none.',
      remedy: 'Override onBinary(data), or drop { binary: true }.',
    });
  }
  return options;
}

function messagesOf(consumer: ConsumerClass): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  for (const [member, type] of messageDeclarations.read(consumer)) {
    const other = members.get(type);
    if (other) {
      throw new ConfigurationError({
        class: consumer.name,
        member,
        reason: `takes messages of type "${type}", and so does ${other}.`,
        remedy: "Give it another type: @OnMessage('type').",
      });
    }
    members.set(type, member);
  }
  return members;
}

/** Those of the mixins, whose object is no right to anything but itself. */
const rowActions: ReadonlySet<string> = new Set(['retrieve', 'update', 'patch', 'delete', 'subscribeInstance']);

/** A right that is checked in the code of an action cannot be asked for again: the subscription would go on for ever. */
function checkRevocations(
  consumer: ConsumerClass,
  expressions: readonly PermissionExpression[],
  { observers, actions }: Pick<CompiledConsumer, 'observers' | 'actions'>,
): void {
  if (expressions.flatMap(permissionsIn).some((permission) => !knowsConnectionOnly(permission))) return;
  const namesObject = [...actions.values()].some(({ isDetail, member }) => isDetail && !rowActions.has(member));
  for (const [member, declarations] of revocationDeclarations.read(consumer)) {
    for (const { observer } of declarations) {
      const { visibility, hasRights } = observers.get(observer) as Observer;
      if (hasRights || (visibility ? visibility.isNarrowed : namesObject)) continue;
      throw new ConfigurationError({
        class: consumer.name,
        member,
        reason: `says what the right to follow ${observer} depends on, and there is no permission that could be asked again: the code of an action is not run again.`,
        remedy: `Let a permission check the right: @Action({ permissions: [IsMember] }) on the action that subscribes, or @Permissions(IsMember) on the class. Or drop @RevokedBy.`,
      });
    }
  }
}

/** A client that subscribes to a group-less observer hears of every row, also of those that the query keeps from the client. */
function checkGroups(consumer: ConsumerClass, observers: ReadonlyMap<string, Observer>, model: Class): void {
  const narrowing = narrowingOf(consumer);
  const withGroups = new Set(consumerGroupDeclarations.read(consumer).values());
  if (!narrowing) return;
  for (const { member, model: observed } of observers.values()) {
    if (observed !== model || withGroups.has(member)) continue;
    throw new ConfigurationError({
      class: consumer.name,
      member,
      reason: `has no groups, so that each of its subscriptions hears of every ${model.name}, also of those that ${narrowing} leaves out.`,
      remedy: `Give it groups: @GroupsForSignal('${member}') and @GroupsForConsumer('${member}'), or @GroupsForBoth('${member}') that yields one name where every ${model.name} is meant for every subscription. Or let clients subscribe to single rows: ObserveInstance asks the query.`,
    });
  }
}

function checkDetailActions(consumer: ConsumerClass, actions: Actions): void {
  const model = consumer.prototype instanceof BaseModelConsumer ? modelOf(consumer.prototype) : undefined;
  for (const { member, isDetail, model: taken } of actions.values()) {
    if (!isDetail || (model && isOf(model, taken))) continue;
    const rest = model
      ? {
          reason: `is a detail action on ${nameOf(taken)}, and the model of the consumer is ${model.name}.`,
          remedy: `Let its first parameter be a ${model.name}.`,
        }
      : {
          reason: 'is a detail action, and the consumer has no model to look up.',
          remedy: 'Let the consumer extend mix(ModelConsumer(Entity, { serializer })), or use @Action.',
        };
    throw new ConfigurationError({ class: consumer.name, member, ...rest });
  }
}

/** A type that does not exist at run time tells nothing: the object is loaded by the consumer's model in any case. */
function isOf(model: ConcreteClass, taken: unknown): boolean {
  if (typeof taken !== 'function' || taken === Function) return true;
  return taken === model || model.prototype instanceof taken;
}

function nameOf(taken: unknown): string {
  return typeof taken === 'function' ? taken.name : String(taken);
}
