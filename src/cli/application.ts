import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SignalboxError } from '../errors.js';
import type { App } from '../server/app.js';
import { CommandFailed, type Terminal } from './command.js';

/** The part of an application's package.json that commands read. */
export interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly signalbox?: { readonly app?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The built application's module, unless package.json names another: `"signalbox": { "app": … }`. */
const USUAL_MODULE = './dist/app.js';

const HOW_TO_EXPORT =
  'Export it as `app`, or let the default export be a function that makes it: export default async () => createApp({ … }).';

/** @throws CommandFailed if there is none */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CommandFailed('There is no package.json here. Run this in the folder of an application.');
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandFailed(`package.json is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * Imports the built application of a folder, as its own code makes it. It does not listen, and sends its database no query, unless the
 * imported module does.
 *
 * @throws CommandFailed if it is not built, is not exported or cannot be made
 */
export async function loadApplication({ folder, err }: Pick<Terminal, 'folder' | 'err'>): Promise<App> {
  const { signalbox } = await readManifest(folder);
  const named = signalbox?.app ?? USUAL_MODULE;
  const path = resolve(folder, named);
  if (!existsSync(path)) {
    const way = signalbox?.app
      ? 'Build the application: npm run build'
      : 'Build the application, or say in package.json where it is built to: "signalbox": { "app": "./dist/app.js" }';
    throw new CommandFailed(`${named} is not there. ${way}`);
  }
  await noteStaleness(folder, path, err);
  // As the templates' scripts do. Variables that the environment has already take precedence.
  if (existsSync(join(folder, '.env'))) process.loadEnvFile(join(folder, '.env'));
  // A program imports it first; the application's module alone may not.
  await importFrom(folder, 'reflect-metadata');
  const exported = await attempt(named, () => import(pathToFileURL(path).href));
  const given = exported.default ?? exported.app;
  if (given === undefined) throw new CommandFailed(`${named} exports no application. ${HOW_TO_EXPORT}`);
  const app: unknown = await attempt(named, () => (typeof given === 'function' ? given() : given));
  if (isApplication(app)) return app;
  throw new CommandFailed(`What ${named} exports is not an application of createApp. ${HOW_TO_EXPORT}`);
}

async function attempt<T>(named: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The framework's own errors contain the remedy; for other errors the stack names the place.
    const isOurs = error instanceof Error && (error instanceof SignalboxError || error.name === 'ConfigurationError');
    const text = isOurs ? error.message : error instanceof Error ? error.stack : String(error);
    throw new CommandFailed(`The application cannot be put together from ${named}:\n${text}${wayOut(error)}`);
  }
}

/** The remedy for an error of Node.js whose text contains none. */
function wayOut(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: '', message: '' };
  const [, missing] = (name === 'ReferenceError' && /^Cannot access '(\w+)' before/.exec(message)) || [];
  if (missing === undefined) return '';
  return (
    `\n\nTwo files import each other, and one of them needs ${missing} while it loads. For a property of an entity, write its type as ` +
    `Rel<${missing}>: import { type Rel } from '@mikro-orm/core'; \`@ManyToOne(() => ${missing}) name!: Rel<${missing}>\`.`
  );
}

/** Whether a value is an application. It is checked by its members, because the application may have another copy of the framework. */
function isApplication(value: unknown): value is App {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'describe') === 'function';
}

async function importFrom(folder: string, name: string): Promise<void> {
  const require = createRequire(join(folder, 'package.json'));
  try {
    await import(pathToFileURL(require.resolve(name)).href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
  }
}

/** Warns if the sources are newer than the build, which is what the command reads. */
async function noteStaleness(folder: string, path: string, err: Terminal['err']): Promise<void> {
  const built = await newest(resolve(folder, relative(folder, path).split(/[\\/]/)[0] ?? '.'), /\.(js|tsbuildinfo)$/);
  const written = await newest(join(folder, 'src'), /\.ts$/);
  if (written > built) err('src/ was changed after the last build, which the following describes: npm run build\n');
}

/** The time of the newest file in a folder; 0 if there is none. */
async function newest(folder: string, pattern: RegExp): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const times = names
    .filter((name) => pattern.test(name))
    .map(async (name) => (await stat(join(folder, name))).mtimeMs);
  return Math.max(0, ...(await Promise.all(times)));
}
