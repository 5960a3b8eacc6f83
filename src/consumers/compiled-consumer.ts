import { type ConsumerOptions, consumerDeclarations, groupDeclarations } from '../decorators/consumer.js';
import { detachedDeclarations } from '../decorators/detached.js';
import { messageDeclarations } from '../decorators/on-message.js';
import { permissionDeclarations } from '../dispatch/action-declaration.js';
import { type Actions, actionsOf } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { type Observer, observersOf } from '../observers/observer.js';
import { all, checkPermissions, type PermissionExpression } from '../permissions/permission.js';
import { PermissionChecker } from '../permissions/permission-checker.js';
import type { Settings } from '../settings.js';
import { ApiConsumer } from './api-consumer.js';
import { isReservedType } from './consumer-message.js';
import { EventBodies } from './event-bodies.js';
import { BaseModelConsumer, modelOf, settingsOf } from './model-consumer.js';

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
  readonly bodies: EventBodies;
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
  checkDecorated(consumer);
  checkPermissions(consumer.name, permissionDeclarations.find(consumer) ?? []);
  const permission = all(...(permissionDeclarations.find(consumer) ?? defaults));
  const actions = actionsOf(consumer, [permission], settings);
  checkDetailActions(consumer, actions);
  const observers = observersOf(consumer, id);
  const model = consumer.prototype instanceof BaseModelConsumer ? modelOf(consumer.prototype) : undefined;
  return {
    consumer,
    actions,
    observers,
    observersById: new Map([...observers.values()].map((observer) => [observer.id, observer])),
    permission,
    permissions: new PermissionChecker(permission),
    bodies: new EventBodies(),
    options: optionsOf(consumer),
    groups: groupDeclarations.find(consumer) ?? [],
    messages: messagesOf(consumer),
    detached: [...detachedDeclarations.read(consumer).keys()],
    model,
    lookupKwarg: model ? settingsOf(consumer.prototype).lookupUrlKwarg : 'pk',
    takesActionName: consumer.prototype['getActionName'] !== ApiConsumer.prototype['getActionName'],
  };
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
    if (isReservedType(type) || other) {
      throw new ConfigurationError({
        class: consumer.name,
        member,
        reason: `takes messages of type "${type}", ${other ? `and so does ${other}` : "which are the framework's own"}.`,
        remedy: "Give it another type: @OnMessage('type').",
      });
    }
    members.set(type, member);
  }
  return members;
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
