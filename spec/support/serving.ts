import {
  ApiConsumer,
  type App,
  type AppOptions,
  Consumer,
  createApp,
  type Route,
  type Scope,
  type ScopeMiddleware,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { useOfflineOrm } from './offline-orm.js';
import { type TestProviders, testProviders } from './providers.js';

export interface Served extends TestProviders {
  readonly app: App;
}

/**
 * Serves routes in a spec, and closes what it served after it: with an ORM that never connects, and with providers of its
 * own, where the options name no others.
 */
export function useServer(): (routes: readonly Route[], options?: Partial<AppOptions<readonly Route[]>>) => Served {
  const offline = useOfflineOrm();
  const opened: App[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((app) => app.close()));
  });
  return (routes, options = {}) => {
    const providers = testProviders();
    const app = createApp({ orm: offline.orm, container: providers.container, ...options, routes });
    opened.push(app);
    return { ...providers, app };
  };
}

/** A promise that a spec settles by hand. */
export function gate(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}

/** Has no action and no observer. */
@Consumer()
export class SilentConsumer extends ApiConsumer {}

/** Logs in the user that the address names: `?user=1`. */
@injectable()
export class UserOfAddress implements ScopeMiddleware {
  async apply(scope: Scope): Promise<void> {
    const userId = scope.query.get('user');
    if (userId !== null) scope.identity = { userId, sessionId: `session-of-${userId}` };
  }
}
