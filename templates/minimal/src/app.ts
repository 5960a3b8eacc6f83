import type { MikroORM } from '@mikro-orm/core';
import { type AppApi, createApp, demultiplexer, path } from 'signalbox';
import { explorer } from 'signalbox/explorer';
import { createOrm } from './database/open-database.js';
import { readSettings } from './settings.js';
import { TaskConsumer } from './tasks/task-consumer.js';

/** Everything that a client may call, and what comes back: `createClient<Api>()` is typed by it. */
export type Api = AppApi<ReturnType<typeof createApplication>>;

/** The application: its consumers by path and stream. It is not listening yet. */
export function createApplication(orm: MikroORM) {
  return createApp({
    orm,
    routes: [path('/ws/', demultiplexer({ tasks: TaskConsumer }))],
    // In development only: /explorer/ shows and tries everything.
    explorer: explorer(),
  });
}

/** For `signalbox routes` and `signalbox doctor`: the application, neither listening nor connected to its database. */
export default async () => createApplication(await createOrm(readSettings(process.env)));
