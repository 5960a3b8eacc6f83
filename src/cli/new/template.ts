import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ownManifest } from '../own-manifest.js';
import { dockerfile, type PackageManager } from './package-manager.js';

/** The applications to begin with. */
export const templates = {
  minimal: 'a list of tasks, live in every tab: one entity, one consumer, one page',
  chat: 'the sample app: accounts, rooms, private rooms, and who is inside',
} as const;

export type Template = keyof typeof templates;

export const databases = {
  pglite: 'PostgreSQL inside the process: nothing to install',
  postgresql: 'a PostgreSQL server, named by DATABASE_URL',
} as const;

export type Database = keyof typeof databases;

export interface ApplicationChoices {
  readonly template: Template;
  readonly database: Database;
  readonly packageManager: PackageManager;
  /** Signalbox in package.json: a version, a tarball or a folder. */
  readonly framework: string;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const chat = join(root, 'sample-app');
const minimal = join(root, 'templates/minimal');

/** Files that every application takes from the sample app. The template `minimal` has the other files of its own. */
const shared = [
  '.dockerignore',
  '.env.example',
  'tsconfig.base.json',
  'tsconfig.json',
  'page/dom.ts',
  'page/live-pages.ts',
  'page/tsconfig.json',
  'spec/support/database.ts',
  'spec/support/environment.ts',
  'spec/tsconfig.json',
  'src/database',
  'src/dev.ts',
  'src/http/live-pages.ts',
  'src/main.ts',
  'src/print.ts',
  'src/settings.ts',
  'src/tsconfig.json',
];

/** esbuild's install script only makes its command start faster. pnpm fails if a script is neither allowed nor refused. */
const PNPM_SETTINGS = 'allowBuilds:\n  esbuild: false\n';

/** Packages that only the embedded database needs: its driver, and the files for its first start. */
const ofEmbeddedDatabase = ['@mikro-orm/pglite', '@electric-sql/pglite-prepopulatedfs'];

/** Files that a build, an installation or a start of the sample app leaves in its folder. */
const made = /^(node_modules|dist|data|\.env|.*\.tsbuildinfo)$/;

/**
 * Files that only the repository needs: an example that uses the database of the framework's specs, and a slow spec. package.json leaves
 * them out too.
 */
const ofRepository = ['src/cluster', 'spec/cluster', 'spec/cluster.spec.ts', 'spec/silent-sockets.spec.ts'].map(
  (path) => join(chat, path),
);

const ignored = ['node_modules/', 'dist/', 'data/', '.env'];

/**
 * Copies the files of an application into a folder.
 *
 * @param name the name in its package.json
 * @returns the number of files
 */
export async function copyTemplate(folder: string, name: string, choices: ApplicationChoices): Promise<number> {
  await mkdir(folder, { recursive: true });
  if (choices.template === 'chat') await copy(chat, folder);
  else {
    for (const path of shared) await copy(join(chat, path), join(folder, path));
    await copy(minimal, folder);
  }
  await rename(folder, choices.template, name);
  await writeManifest(folder, name, choices);
  await writeSettings(folder, name, choices);
  await writeFile(join(folder, '.gitignore'), lines(ignored));
  await writeFile(join(folder, 'Dockerfile'), dockerfile(choices.packageManager));
  if (choices.packageManager === 'pnpm') await writeFile(join(folder, 'pnpm-workspace.yaml'), PNPM_SETTINGS);
  // Yarn's default, Plug'n'Play, hides packages from tools that look for them in node_modules.
  if (choices.packageManager === 'yarn') await writeFile(join(folder, '.yarnrc.yml'), 'nodeLinker: node-modules\n');
  return (await filesIn(folder)).length;
}

function copy(from: string, to: string): Promise<void> {
  const isWanted = (path: string) => !made.test(basename(path)) && !ofRepository.includes(path);
  return cp(from, to, { recursive: true, filter: isWanted });
}

/** Replaces the template's name by the application's. */
async function rename(folder: string, template: Template, name: string): Promise<void> {
  const title = titleOf(name);
  for (const path of await filesIn(folder)) {
    const text = await readFile(path, 'utf8');
    const renamed = text
      .replaceAll(`signalbox-${template}`, name)
      .replaceAll(`Signalbox ${titleOf(template)}`, title)
      // In the repository the template's project refers to the sources of the framework.
      .replace(/,\s*"references": \[[^\]]*"\.\.\/\.\.\/src[^\]]*\]/, '');
    if (renamed !== text) await writeFile(path, renamed);
  }
}

async function writeManifest(folder: string, name: string, { database, framework }: ApplicationChoices): Promise<void> {
  const path = join(folder, 'package.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  const { dependencies, devDependencies } = manifest;
  dependencies.signalbox = framework;
  // Specs use the embedded database in any case.
  if (database === 'postgresql') for (const name of ofEmbeddedDatabase) move(name, dependencies, devDependencies);
  const { name: _, version, private: isPrivate, type, ...rest } = manifest;
  const written = {
    ...{ name, version, private: isPrivate, type, engines: ownManifest().engines, allowScripts: { esbuild: false } },
    ...{ ...rest, dependencies, devDependencies: inOrder(devDependencies) },
  };
  await writeFile(path, `${JSON.stringify(written, null, 2)}\n`);
}

function move(name: string, from: Record<string, string>, to: Record<string, string>): void {
  const { [name]: wanted } = from;
  if (wanted === undefined) throw new Error(`The template does not depend on ${name}.`);
  to[name] = wanted;
  delete from[name];
}

async function writeSettings(folder: string, name: string, { database }: ApplicationChoices): Promise<void> {
  const example = join(folder, '.env.example');
  if (database === 'postgresql') {
    const databaseName = name.replace(/^@.*\//, '').replaceAll(/[^a-z\d]/g, '_');
    const text = await readFile(example, 'utf8');
    const url = `postgresql://postgres:postgres@localhost:5432/${databaseName}`;
    await writeFile(example, text.replace(/^# DATABASE_URL=.*$/m, `DATABASE_URL=${url}`));
    await writeFile(join(folder, 'compose.yaml'), compose(databaseName));
  }
  await cp(example, join(folder, '.env'));
}

/** A database server for developers of the application, as a Compose file. */
function compose(database: string): string {
  return `# docker compose up -d starts the database that .env names.
services:
  database:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: postgres
      POSTGRES_DB: ${database}
    ports:
      - 127.0.0.1:5432:5432
    volumes:
      - database:/var/lib/postgresql/data
volumes:
  database:
`;
}

/** This exact version, because MikroORM's packages and Signalbox are updated together. */
export function publishedFramework(): string {
  return ownManifest().version;
}

/** `my-app` -> `My App` */
function titleOf(name: string): string {
  const words = name.replace(/^@.*\//, '').split(/[^a-z\d]+/);
  return words
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ')
    .trim();
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes(`${join(folder, '.git')}`))
    .map((entry) => join(entry.parentPath, entry.name));
}

function inOrder<T>(named: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(named).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
