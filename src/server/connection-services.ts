import type { DependencyContainer } from 'tsyringe';
import { Connections } from '../authentication/connections.js';
import { type LiveConnectionParts, LiveConnections } from '../authentication/live-connections.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { AppOptions } from './app-options.js';
import type { Route } from './route.js';

/** What knows whose the connections are. */
export interface ConnectionServices {
  readonly live: LiveConnections;
  readonly connections: Connections;
}

export interface ConnectionServiceParts extends Omit<LiveConnectionParts, 'findUser'> {
  readonly container: DependencyContainer;
  readonly unitOfWork: UnitOfWork;
}

export function buildConnections(
  { users }: AppOptions<readonly Route[]>,
  { container, unitOfWork, ...parts }: ConnectionServiceParts,
): ConnectionServices {
  const findUser = users && ((userId: string) => unitOfWork.run(async () => container.resolve(users).find(userId)));
  const live = new LiveConnections({ ...parts, findUser });
  const connections = new Connections(live, parts.clock);
  container.registerInstance(Connections, connections);
  return { live, connections };
}
