import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ConcreteClass } from '../metadata.js';
import { permissionsIn } from '../permissions/permission.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { rightsIn } from '../serializers/field-rights.js';
import { isSerializerClass, type SerializerClass } from '../serializers/serializer.js';
import type { AppOptions } from './app-options.js';
import type { Route } from './route.js';
import type { Router } from './router.js';

/** Every class that the container will be asked for, as far as declarations tell. */
export function providersOf(
  { errors = [], hooks = [], ticketStore, users }: AppOptions<readonly Route[]>,
  router: Router,
): readonly ConcreteClass[] {
  const middleware = router.routes.flatMap((route) => route.middleware).flatMap(withProviders);
  return [
    ...new Set<ConcreteClass>([
      ...router.consumers.flatMap(ofConsumer),
      ...middleware,
      ...errors,
      ...hooks,
      ...(users ? [users] : []),
      ...(ticketStore ? [ticketStore] : []),
    ]),
  ];
}

function withProviders(middleware: ScopeMiddlewareClass): readonly ConcreteClass[] {
  return [middleware, ...(middleware.providers ?? [])];
}

function ofConsumer({ consumer, actions, observers, permission }: CompiledConsumer): ConcreteClass[] {
  const ofEvents = [...observers.values()].map(({ serializer }) => serializer);
  const serializers = withNested([
    Reflect.get(consumer, 'serializer'),
    ...actions.all.map(({ reply }) => reply),
    ...ofEvents,
  ]);
  const paginator: ConcreteClass | undefined = Reflect.get(consumer, 'paginator');
  return [
    consumer,
    ...(paginator ? [paginator] : []),
    ...permissionsIn(permission),
    ...actions.all.flatMap((action) => action.permissions.providers),
    ...serializers,
    ...[...serializers].flatMap((serializer) => [...rightsIn(serializer).keys()]),
  ];
}

/** The serializers that show events. */
export function eventSerializersOf(router: Router): readonly SerializerClass[] {
  const observers = router.consumers.flatMap((consumer) => [...consumer.observers.values()]);
  return [...withNested(observers.map(({ serializer }) => serializer))];
}

function withNested(shown: readonly unknown[]): ReadonlySet<SerializerClass> {
  const serializers = new Set<SerializerClass>();
  for (const one of shown.filter(isSerializerClass)) collect(one, serializers);
  return serializers;
}

/** A serializer, and those that are nested in it. */
function collect(serializer: SerializerClass, into: Set<SerializerClass>): void {
  if (into.has(serializer)) return;
  into.add(serializer);
  const options: { readonly nested?: object } | undefined = Reflect.get(serializer, 'options');
  for (const nested of Object.values(options?.nested ?? {}).filter(isSerializerClass)) collect(nested, into);
}
