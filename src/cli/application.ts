import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SignalboxError } from '../errors.js';
import type { App } from '../server/app.js';
import { CommandFailed, type Terminal } from './command.js';

/** As much of an application's package.json as is read. */
export interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly signalbox?: { readonly app?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Where the built application is, unless package.json says `"signalbox": { "app": … }`. */
const USUAL_MODULE = './dist/app.js';

const HOW_TO_EXPORT =
  'Export it as `app`, or let the default export be a function that makes it: export default async () => createApp({ … }).';

/** @throws CommandFailed where there is none */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CommandFailed('There is no package.json here. Run this in the folder of an application.');
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandFailed(`package.json is no JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * The built application of a folder, put together as its own code does it. It does not listen, and asks nothing of its
 * database, as long as the module that is imported does neither.
 *
 * @throws CommandFailed where it is not built, is not exported or cannot be put together
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
  // As the scripts of the templates do. What the environment has already wins.
  if (existsSync(join(folder, '.env'))) process.loadEnvFile(join(folder, '.env'));
  // A program imports it first; the module of the application alone may not.
  await importFrom(folder, 'reflect-metadata');
  const exported = await attempt(named, () => import(pathToFileURL(path).href));
  const given = exported.default ?? exported.app;
  if (given === undefined) throw new CommandFailed(`${named} exports no application. ${HOW_TO_EXPORT}`);
  const app: unknown = await attempt(named, () => (typeof given === 'function' ? given() : given));
  if (isApplication(app)) return app;
  throw new CommandFailed(`What ${named} exports is no application of createApp. ${HOW_TO_EXPORT}`);
}

async function attempt<T>(named: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // What the framework refuses says what to do; of anything else the stack says where.
    const isOurs = error instanceof Error && (error instanceof SignalboxError || error.name === 'ConfigurationError');
    const text = isOurs ? error.message : error instanceof Error ? error.stack : String(error);
    throw new CommandFailed(`The application cannot be put together from ${named}:\n${text}${wayOut(error)}`);
  }
}

/** What to do about an error of Node.js whose text does not say. */
function wayOut(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: '', message: '' };
  const [, missing] = (name === 'ReferenceError' && /^Cannot access '(\w+)' before/.exec(message)) || [];
  if (missing === undefined) return '';
  return (
    `\n\nTwo files import each other, and one of them needs ${missing} while it loads. For a property of an entity, write its type as ` +
    `Rel<${missing}>: import { type Rel } from '@mikro-orm/core'; \`@ManyToOne(() => ${missing}) name!: Rel<${missing}>\`.`
  );
}

/** Told by what it can do: the application may have another copy of the framework. */
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

/** What is looked at is what was built last. */
async function noteStaleness(folder: string, path: string, err: Terminal['err']): Promise<void> {
  const built = await newest(resolve(folder, relative(folder, path).split(/[\\/]/)[0] ?? '.'), /\.(js|tsbuildinfo)$/);
  const written = await newest(join(folder, 'src'), /\.ts$/);
  if (written > built)
    err('src/ was changed after the last build, and what follows is as it was then: npm run build\n');
}

/** The time of the newest file in a folder; 0 where there is none. */
async function newest(folder: string, pattern: RegExp): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const times = names
    .filter((name) => pattern.test(name))
    .map(async (name) => (await stat(join(folder, name))).mtimeMs);
  return Math.max(0, ...(await Promise.all(times)));
}
