import { EntityManager, type MikroORM } from '@mikro-orm/core';
import type { FastifyInstance } from 'fastify';
import {
  type AppApi,
  Clock,
  closeOn,
  cookieSession,
  createApp,
  demultiplexer,
  type GivenSettings,
  Logger,
  path,
} from 'signalbox';
import { explorer } from 'signalbox/explorer';
import { type DependencyContainer, instanceCachingFactory, container as root } from 'tsyringe';
import { Accounts } from './accounts/accounts.js';
import { Attempts } from './accounts/attempts.js';
import { type PasswordCost, Passwords } from './accounts/passwords.js';
import { SESSION_COOKIE, Sessions } from './accounts/sessions.js';
import { Presence } from './chat/presence.js';
import { RoomConsumer } from './chat/room-consumer.js';
import { createOrm } from './database/open-database.js';
import { readDeployment } from './deployment.js';
import { Session } from './entities/session.js';
import { createHttpServer } from './http/http-server.js';
import { readSettings } from './settings.js';

export interface Chat {
  readonly app: ReturnType<typeof createApplication>;
  /** The HTTP server of the pages and the accounts, and of the sockets. */
  readonly http: FastifyInstance;
  /** Closes first the sockets, then the pages. The database stays open. */
  close(): Promise<void>;
  /**
   * Closes like `close`, for a process that others replace: the balancer has time to notice, and clients leave one after the
   * other.
   */
  drain(): Promise<void>;
}

/** The types of everything that a client may call, and of the replies. */
export type Api = AppApi<Chat['app']>;

export interface ChatOptions {
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly settings?: GivenSettings;
  /** Default: the cost that OWASP advises. Specs that log in a hundred times use less. */
  readonly passwordCost?: PasswordCost;
}

export async function createChat(orm: MikroORM, options: ChatOptions = {}): Promise<Chat> {
  const container = createContainer(orm, options);
  const app = createApplication(orm, container, options.settings);
  const http = await createHttpServer({
    app,
    em: orm.em,
    logger: container.resolve(Logger),
    accounts: container.resolve(Accounts),
    attempts: container.resolve(Attempts),
    sessions: container.resolve(Sessions),
  });
  await app.attach(http.server);
  return {
    app,
    http,
    close: () => app.close().then(() => http.close()),
    drain: () => app.drain().then(() => http.close()),
  };
}

/** For `signalbox routes` and `signalbox doctor`: the application, neither listening nor connected to its database. */
export default async () => {
  const orm = await createOrm(readSettings(process.env));
  return createApplication(orm, createContainer(orm), readDeployment(process.env));
};

/** A container for this chat only: two chats in one process, as in the specs, share nothing. */
function createContainer(orm: MikroORM, { clock = new Clock(), logger, passwordCost }: ChatOptions = {}) {
  const container = root.createChildContainer();
  container.registerInstance(Clock, clock);
  // Without a logger, Signalbox registers its own: lines of text for developers, JSON in production.
  if (logger) container.registerInstance(Logger, logger);
  container.registerInstance<EntityManager>(EntityManager, orm.em);
  container.register(Passwords, { useFactory: instanceCachingFactory(() => new Passwords(passwordCost)) });
  for (const provider of [Accounts, Attempts, Sessions, Presence]) container.registerSingleton<object>(provider);
  return container;
}

export function createApplication(
  orm: MikroORM,
  container: DependencyContainer = createContainer(orm),
  settings: GivenSettings = {},
) {
  return createApp({
    orm,
    container,
    settings,
    routes: [path('/ws/chat/', demultiplexer({ chat: RoomConsumer }))],
    middleware: [cookieSession(Sessions, { cookie: SESSION_COOKIE })],
    // A user who logs out in one tab is logged out in all tabs.
    connections: [closeOn(Session, { session: ({ id }) => id, on: ['delete'] })],
    hooks: [Presence],
    // In development only, /explorer/ shows all actions of the chat, to try them out.
    explorer: explorer({ info: { title: 'Chat', version: '1.0.0' } }),
  });
}
