import type { MikroORM } from '@mikro-orm/core';
import type { FastifyInstance } from 'fastify';
import { createChat } from './chat.js';
import { migrate, openDatabase } from './database/open-database.js';
import { readDeployment } from './deployment.js';
import { Visit } from './entities/visit.js';
import { print } from './print.js';
import { type Settings, StartError } from './settings.js';

export interface Running {
  readonly address: string;
  stop(): Promise<void>;
  /** Stops when the clients have left, for a process that others replace. */
  drain(): Promise<void>;
}

export async function start(settings: Settings): Promise<Running> {
  print(
    settings.databaseUrl ? 'Opening the database of DATABASE_URL' : `Opening the database in ${settings.dataFolder}`,
  );
  const database = await openDatabase(settings);
  try {
    print('Applying migrations');
    const applied = await migrate(database);
    print(applied.length > 0 ? `Applied ${applied.join(', ')}` : 'The database is up to date');
    if (!database.isShared) await endVisits(database.orm);
    const chat = await createChat(database.orm, { settings: readDeployment(process.env) });
    const address = await listen(chat.http, settings);
    // A stop may interrupt a drain; then both end.
    let closing: Promise<void> | undefined;
    const closeDatabase = () => {
      closing ??= database.close();
      return closing;
    };
    return {
      address,
      stop: () => chat.close().finally(closeDatabase),
      drain: () => chat.drain().finally(closeDatabase),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Ends the visits of a killed process. No other process has this database, so no user is in a room. */
async function endVisits(orm: MikroORM): Promise<void> {
  await orm.em.fork().nativeUpdate(Visit, {}, { expiresAt: new Date(0) });
}

async function listen(http: FastifyInstance, { host, port }: Settings): Promise<string> {
  try {
    await http.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') throw error;
    throw new StartError(`Port ${port} is taken: stop the program that uses it, or choose another one with PORT.`);
  }
  const isLocal = host === '127.0.0.1' || host === '0.0.0.0';
  const address = http.server.address();
  const chosen = typeof address === 'object' ? address?.port : port;
  return `http://${isLocal ? 'localhost' : host}:${chosen}`;
}
