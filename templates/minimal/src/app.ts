import type { MikroORM } from '@mikro-orm/core';
import { type AppApi, createApp, demultiplexer, path } from 'signalbox';
import { explorer } from 'signalbox/explorer';
import { createOrm } from './database/open-database.js';
import { readSettings } from './settings.js';
import { TaskConsumer } from './tasks/task-consumer.js';

/** The types of everything that a client may call, and of the replies, for `createClient<Api>()`. */
export type Api = AppApi<ReturnType<typeof createApplication>>;

/** The application: its consumers by path and stream. It is not listening yet. */
export function createApplication(orm: MikroORM) {
  return createApp({
    orm,
    routes: [path('/ws/', demultiplexer({ tasks: TaskConsumer }))],
    // In development only, /explorer/ shows all actions, to try them out.
    explorer: explorer(),
  });
}

/** For `signalbox routes` and `signalbox doctor`: the application, neither listening nor connected to its database. */
export default async () => createApplication(await createOrm(readSettings(process.env)));
