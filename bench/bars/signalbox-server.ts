import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  type Authentication,
  bearerToken,
  Counters,
  createApp,
  type GivenSettings,
  identityUser,
  Logger,
  path,
  type TokenVerifier,
  type UserStore,
} from 'signalbox';
import { container, injectable } from 'tsyringe';
import { ModelBars, Note, SignalBars, UserBars } from './consumers.js';
import { count, serveGauges, setCount } from './gauges.js';
import { userOfToken } from './tokens.js';

declare module 'signalbox' {
  interface ScopeTypes {
    user: { readonly id: string };
  }
}

@injectable()
class Tokens implements TokenVerifier {
  async verify(token: string): Promise<Authentication | undefined> {
    const userId = userOfToken(token);
    return userId === undefined ? undefined : { userId };
  }
}

@injectable()
class Users implements UserStore {
  async find(id: string) {
    return { id };
  }
}

class CountsOfBars extends Counters {
  override increment(name: string): void {
    count(name);
  }

  override gauge(name: string, value: number): void {
    setCount(name, value);
  }
}

/** Counts what is unusual, and shows some of it: a thousand slow readers have a line each. */
class LogOfBars extends Logger {
  constructor() {
    let left = 5;
    super('warn', (line) => {
      count('log lines');
      if (left > 0) process.stderr.write(line);
      left -= 1;
    });
  }
}

const [, , url = '', settings = '{}'] = process.argv;
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [Note],
  metadataProvider: ReflectMetadataProvider,
});
await orm.schema.create();
process.on('uncaughtExceptionMonitor', () => count('crashes'));

// A few addresses connect and ask as no client may.
const many = 2_147_483_647;
const limits = {
  messagesPerSecond: many,
  messageBurst: many,
  bytesPerSecond: many,
  userMessagesPerSecond: many,
  userMessageBurst: many,
  waitingRequests: many,
  detachedActions: many,
  connections: many,
  connectionsPerAddress: many,
  connectionsPerUser: many,
  addressHandshakesPerSecond: many,
  addressHandshakeBurst: many,
  handshakesPerSecond: many,
};
const given = JSON.parse(settings) as GivenSettings;
const scope = container.createChildContainer();
scope.registerInstance(Counters, new CountsOfBars());
scope.registerInstance(Logger, new LogOfBars());
const app = createApp({
  orm,
  container: scope,
  routes: [
    path('/model/', ModelBars),
    path('/signal/', SignalBars),
    path('/user/', UserBars, { middleware: [bearerToken(Tokens), identityUser(Users)] }),
  ],
  settings: { development: false, log: { actions: false }, ...given, limits: { ...limits, ...given.limits } },
});
app.closeOnSignals({ after: () => orm.close() });
const { port } = await app.listen({ host: '127.0.0.1' });
serveGauges(port);
