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

/** The declarations of a consumer class and of the classes that it extends, read from their decorators once at start-up. */
export interface CompiledConsumer {
  readonly consumer: ConsumerClass;
  readonly actions: Actions;
  /** Observers by their members. */
  readonly observers: ReadonlyMap<string, Observer>;
  readonly permissions: PermissionChecker;
  /** The options of `@Consumer`. */
  readonly options: ConsumerOptions;
  /** The groups that each connection joins. */
  readonly groups: readonly string[];
  /** The methods that receive messages, by the type of message. */
  readonly messages: ReadonlyMap<string, string>;
  readonly detached: readonly string[];
  /** The model of a model consumer. */
  readonly model: ConcreteClass | undefined;
  /** The kwarg by which clients name an object. */
  readonly lookupKwarg: string;
  /** Whether its query may leave rows out. */
  readonly isNarrowed: boolean;
  /** Whether no event needs a check: neither the consumer nor its actions have permissions, and its query leaves no row out. */
  readonly isOpen: boolean;
  /** Whether `getActionName` is overridden, so that a payload's `action` is not the action's name. */
  readonly takesActionName: boolean;
}

/**
 * @param id identifies this class among others of its name, equally in every process
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

/** Refuses declarations of another copy of a package, which would silently do nothing. */
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
      reason: 'is routed, but is not a consumer.',
      remedy: 'Let it extend ApiConsumer or mix(ModelConsumer(…), …).',
    });
  }
  if (consumerDeclarations.isOn(consumer)) return;
  throw new ConfigurationError({
    class: consumer.name,
    reason: 'is routed without a decorator of its own, so the container would pass nothing to its constructor.',
    remedy: 'Put @Consumer() on it.',
  });
}

function optionsOf(consumer: ConsumerClass): ConsumerOptions {
  const options = consumerDeclarations.find(consumer) ?? {};
  if (options.binary && consumer.prototype['onBinary'] === ApiConsumer.prototype['onBinary']) {
    throw new ConfigurationError({
      class: consumer.name,
      reason: 'declares binary frames, but does not handle them.',
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
        reason: `handles messages of type "${type}", and so does ${other}.`,
        remedy: "Give it another type: @OnMessage('type').",
      });
    }
    members.set(type, member);
  }
  return members;
}

/** The mixins' actions on one row: their object gives no right to anything else. */
const rowActions: ReadonlySet<string> = new Set(['retrieve', 'update', 'patch', 'delete', 'subscribeInstance']);

/**
 * Refuses a right that is only checked in the code of an action: it could not be asked again, and the subscription would go on for ever.
 */
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
        reason: `declares what the right to follow ${observer} depends on, but there is no permission that could be asked again: the code of an action is not run again.`,
        remedy: `Let a permission check the right: @Action({ permissions: [IsMember] }) on the action that subscribes, or @Permissions(IsMember) on the class. Or drop @RevokedBy.`,
      });
    }
  }
}

/**
 * Refuses observers without groups for narrowed queries: their subscriptions receive every row, including those that the query hides from
 * the client.
 */
function checkGroups(consumer: ConsumerClass, observers: ReadonlyMap<string, Observer>, model: Class): void {
  const narrowing = narrowingOf(consumer);
  const withGroups = new Set(consumerGroupDeclarations.read(consumer).values());
  if (!narrowing) return;
  for (const { member, model: observed } of observers.values()) {
    if (observed !== model || withGroups.has(member)) continue;
    throw new ConfigurationError({
      class: consumer.name,
      member,
      reason: `has no groups, so each of its subscriptions receives every ${model.name}, also those that ${narrowing} leaves out.`,
      remedy: `Give it groups: @GroupsForSignal('${member}') and @GroupsForConsumer('${member}'), or @GroupsForBoth('${member}') that yields one name if every ${model.name} is meant for every subscription. Or let clients subscribe to single rows: ObserveInstance asks the query.`,
    });
  }
}

function checkDetailActions(consumer: ConsumerClass, actions: Actions): void {
  const model = consumer.prototype instanceof BaseModelConsumer ? modelOf(consumer.prototype) : undefined;
  for (const { member, isDetail, model: taken } of actions.values()) {
    if (!isDetail || (model && isOf(model, taken))) continue;
    const rest = model
      ? {
          reason: `is a detail action on ${nameOf(taken)}, but the model of the consumer is ${model.name}.`,
          remedy: `Let its first parameter be a ${model.name}.`,
        }
      : {
          reason: 'is a detail action, but the consumer has no model to look up.',
          remedy: 'Let the consumer extend mix(ModelConsumer(Entity, { serializer })), or use @Action.',
        };
    throw new ConfigurationError({ class: consumer.name, member, ...rest });
  }
}

/** Whether the type is the model. A type that does not exist at run time counts as the model, by which the object is loaded in any case. */
function isOf(model: ConcreteClass, taken: unknown): boolean {
  if (typeof taken !== 'function' || taken === Function) return true;
  return taken === model || model.prototype instanceof taken;
}

function nameOf(taken: unknown): string {
  return typeof taken === 'function' ? taken.name : String(taken);
}
