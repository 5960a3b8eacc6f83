import type { MikroORM } from '@mikro-orm/postgresql';
import { type App, type AppOptions, createApp, type Route } from 'signalbox';
import type { MemoryLogger, TestClock } from 'signalbox/testing';
import { offlineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';

export interface Served {
  readonly app: App;
  readonly logger: MemoryLogger;
  readonly clock: TestClock;
}

type Options = Partial<AppOptions<readonly Route[]>> & { readonly orm?: MikroORM };

/** Serves routes in a spec, and closes what it served after it. Without an ORM, one that never connects. */
export function useServer(): (routes: readonly Route[], options?: Options) => Promise<Served> {
  const opened: App[] = [];
  afterEach(async () => {
    for (const app of opened.splice(0)) await app.close();
  });
  return async (routes, options = {}) => {
    const { container, logger, clock } = testProviders();
    const orm = options.orm ?? (await offlineOrm());
    const app = createApp({ container, ...options, orm, routes });
    opened.push(app);
    return { app, logger, clock };
  };
}

/** A promise that a spec settles by hand. */
export function gate(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}

/** The frame of a success. */
export function success(action: string | null, requestId: string | number | null, data: unknown, status = 200): object {
  return { errors: [], data, action, response_status: status, request_id: requestId };
}

/** The frame of an error with one sentence. */
export function failure(
  action: string | null,
  requestId: string | number | null,
  status: number,
  code: string,
  ...errors: readonly unknown[]
): object {
  return { errors, data: null, action, response_status: status, request_id: requestId, code };
}
