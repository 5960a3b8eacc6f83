import { once } from 'node:events';
import type { Server } from 'node:http';
import { createApplication } from './app.js';
import { type Database, migrate, openDatabase } from './database/open-database.js';
import { createHttpServer } from './http/http-server.js';
import { print } from './print.js';
import { type Settings, StartError } from './settings.js';

export interface Running {
  readonly address: string;
  stop(): Promise<void>;
  /** Stops when the clients have left, for a process that others replace. */
  drain(): Promise<void>;
}

/** Opens the database, applies new migrations, and serves the page and the sockets on one port. */
export async function start(settings: Settings): Promise<Running> {
  print(
    settings.databaseUrl ? 'Opening the database of DATABASE_URL' : `Opening the database in ${settings.dataFolder}`,
  );
  const database = await openDatabase(settings);
  try {
    const applied = await migrate(database);
    print(applied.length > 0 ? `Applied ${applied.join(', ')}` : 'The database is up to date');
    const app = createApplication(database.orm);
    const server = createHttpServer(app);
    await app.attach(server);
    const address = await listen(server, settings);
    let ending: Promise<void> | undefined;
    // A stop may interrupt a drain; then both end.
    const end = () => {
      ending ??= close(server, database);
      return ending;
    };
    return { address, stop: () => app.close().then(end), drain: () => app.drain().then(end) };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function close(server: Server, database: Database): Promise<void> {
  server.close();
  server.closeAllConnections();
  await database.close();
}

async function listen(server: Server, { host, port }: Settings): Promise<string> {
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new StartError(`Port ${port} is taken: stop the program that uses it, or choose another one with PORT.`);
  }
  const address = server.address();
  const chosen = typeof address === 'object' ? address?.port : port;
  return `http://${host === '127.0.0.1' || host === '0.0.0.0' ? 'localhost' : host}:${chosen}`;
}
