import type { EntityManager } from '@mikro-orm/core';
import type { SerializerContext } from 'signalbox';
import { type DependencyContainer, container as rootContainer } from 'tsyringe';
import { UnitOfWork } from '#signalbox/orm/unit-of-work.js';

/** A serializer's context outside of any request, whose unit of work is the given entity manager. */
export function contextOf(
  em: EntityManager,
  container: DependencyContainer = rootContainer.createChildContainer(),
): SerializerContext {
  return { unitOfWork: new UnitOfWork(em), resolve: (serializer) => container.resolve(serializer) };
}
