import { injectable } from 'tsyringe';
import { permissionDeclarations } from '../dispatch/action-declaration.js';
import { type Class, ClassMetadata, type ConcreteClass } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';

/** Which classes bear `@Consumer`; without it the container would hand their constructors nothing. */
export const consumerDeclarations = new ClassMetadata<Class>('consumer');

/**
 * Makes a class that extends `ApiConsumer` one that a route may name. The container resolves it, constructor parameters
 * and all, once per connection and stream.
 *
 * ```ts
 * @Consumer()
 * class RoomConsumer extends ApiConsumer {
 *   constructor(private readonly em: EntityManager) { super(); }
 * }
 * createApp({ orm, container, routes: [path('/ws/rooms/', RoomConsumer)] });
 * ```
 */
export function Consumer() {
  return (consumer: ConcreteClass): void => {
    injectable()(consumer);
    consumerDeclarations.write(consumer, consumer);
  };
}

/**
 * Who may connect to a consumer and call its actions; several expressions have to be satisfied all. A subclass that bears
 * the decorator replaces what it would inherit.
 *
 * ```ts
 * @Permissions(all(IsAuthenticated, not(IsBanned)))
 * ```
 */
export function Permissions(...expressions: PermissionExpression[]) {
  return (consumer: Class): void => permissionDeclarations.write(consumer, expressions);
}
