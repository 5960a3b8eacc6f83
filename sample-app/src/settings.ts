import { join, resolve } from 'node:path';

/** A mistake of the person who starts the app: printed as one sentence, without a stack. */
export class StartError extends Error {
  override name = 'StartError';
}

export interface Settings {
  readonly host: string;
  readonly port: number;
  /** The folder of the embedded database; not used if databaseUrl is set. */
  readonly dataFolder: string;
  readonly databaseUrl?: string;
}

const packageFolder = resolve(import.meta.dirname, '../..');

export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    host: env.HOST || '127.0.0.1',
    port: readPort(env.PORT),
    dataFolder: resolve(env.DATA_FOLDER || join(packageFolder, 'data')),
    ...(env.DATABASE_URL ? { databaseUrl: env.DATABASE_URL } : {}),
  };
}

function readPort(text: string | undefined): number {
  if (!text) return 8000;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new StartError(`PORT is ${JSON.stringify(text)}, which is not a number between 0 and 65535.`);
}
