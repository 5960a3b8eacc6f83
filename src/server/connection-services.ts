import type { DependencyContainer } from 'tsyringe';
import { Connections } from '../authentication/connections.js';
import { type LiveConnectionParts, LiveConnections } from '../authentication/live-connections.js';
import { HandshakeTimedOut } from '../errors.js';
import type { Committed } from '../orm/model-subscriber.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { Settings } from '../settings.js';
import type { AppOptions } from './app-options.js';
import type { ConnectionRule } from './connection-rule.js';
import { checkConnectionRules } from './connection-rule-check.js';
import { ConnectionRules } from './connection-rules.js';
import type { Route } from './route.js';

/** What knows whose the connections are. */
export interface ConnectionServices {
  readonly live: LiveConnections;
  readonly connections: Connections;
  readonly rules: readonly ConnectionRule[];
  readonly applyRules: Committed;
}

export interface ConnectionServiceParts extends Omit<LiveConnectionParts, 'findUser'> {
  readonly settings: Settings;
  readonly container: DependencyContainer;
  readonly unitOfWork: UnitOfWork;
}

/** @throws ConfigurationError for a rule that could not work */
export function buildConnections(
  { users, connections: rules = [] }: AppOptions<readonly Route[]>,
  { container, unitOfWork, ...parts }: ConnectionServiceParts,
): ConnectionServices {
  const find = users && ((userId: string) => unitOfWork.run(async () => container.resolve(users).find(userId)));
  const findUser = find && ((userId: string) => inTime(find(userId), parts));
  const live = new LiveConnections({ ...parts, findUser });
  const connections = new Connections(live, parts.clock);
  container.registerInstance(Connections, connections);
  checkConnectionRules(rules, { hasUsers: users !== undefined, unitOfWork });
  const ruler = new ConnectionRules(rules, { connections, unitOfWork, logger: parts.logger });
  return { live, connections, rules, applyRules: (changes, signals) => void ruler.apply(changes, signals) };
}

/** @throws HandshakeTimedOut where it takes longer than asking the permissions may; what comes of it then is heard by nobody */
async function inTime<T>(
  answer: Promise<T>,
  { settings, clock }: Pick<ConnectionServiceParts, 'settings' | 'clock'>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const text = 'Your rights could not be checked in time.';
  const timer = clock.after(settings.handshakeTimeLimit, () => reject(new HandshakeTimedOut(text)));
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.cancel();
  }
}
