import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigurationError } from './errors.js';
import { bearsForeignNotes, type Class } from './metadata.js';

/** The folder where this copy of Signalbox is installed. */
export const ownFolder = resolve(fileURLToPath(new URL('../', import.meta.url)));

/** An installed package. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder, with links resolved. */
  readonly folder: string;
  readonly engines?: { readonly node?: string };
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** Finds a package as Node.js does: in the node_modules of the folder and of its parents. */
export function findPackage(name: string, folder: string): InstalledPackage | undefined {
  for (const modules of nodeModulesOf(folder)) {
    const found = readPackage(join(modules, name));
    if (found) return found;
  }
  return undefined;
}

export function nodeModulesOf(folder: string): readonly string[] {
  const above = dirname(folder);
  const own = join(folder, 'node_modules');
  return [...(existsSync(own) ? [own] : []), ...(above === folder ? [] : nodeModulesOf(above))];
}

export function readPackage(folder: string): InstalledPackage | undefined {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return undefined;
  return { ...JSON.parse(readFileSync(path, 'utf8')), folder: realpathSync(folder) };
}

/** The copies of Signalbox in this process, by their folders. All copies share one set. */
const copiesKey = Symbol.for('signalbox:copies');
const globals = globalThis as { [copiesKey]?: Set<string> };
globals[copiesKey] ??= new Set();
globals[copiesKey].add(ownFolder);

/** The folders of the other copies of Signalbox that this process has loaded. */
export function otherSignalboxes(): readonly string[] {
  return [...(globals[copiesKey] ?? [])].filter((folder) => folder !== ownFolder);
}

/** The property of a framework class that names its copy; subclasses inherit it. */
const ownerKey = Symbol.for('signalbox:copy');

/** Marks classes of the framework, so that another copy recognizes them. */
export function markClasses(classes: readonly Class[]): void {
  for (const each of classes) Object.defineProperty(each, ownerKey, { value: ownFolder, configurable: true });
}

/**
 * @throws ConfigurationError for a class of another copy of Signalbox, a class that extends one, and a class with decorators of another
 * copy
 */
export function checkClassIsOurs(given: Class): void {
  const owner: unknown = Reflect.get(given, ownerKey);
  if (owner !== undefined && owner !== ownFolder)
    throw secondCopy(given.name, 'signalbox', `is or extends a class of the copy in ${owner}`, ownFolder);
  if (!bearsForeignNotes(given)) return;
  const other = otherSignalboxes().join(' or ') || `${ownFolder}, which is loaded twice`;
  throw secondCopy(given.name, 'signalbox', `has decorators of the copy in ${other}`, ownFolder);
}

/** The copies of a CommonJS package that this process has loaded: folder -> what one of its modules exports. */
export function loadedModules(name: string, module: string): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
  const loaded = new Map<string, Readonly<Record<string, unknown>>>();
  const { cache } = createRequire(import.meta.url);
  const file = basename(module);
  // There are some thousand paths, for each class that is checked; few of them end like this.
  for (const path of Object.keys(cache).filter((each) => each.endsWith(file))) {
    const found = cache[path];
    if (found && path.replaceAll('\\', '/').endsWith(`/node_modules/${name}/${module}`))
      loaded.set(resolve(path.slice(0, -module.length)), found.exports);
  }
  return loaded;
}

/**
 * The error for a class that depends on another copy of a package than Signalbox does.
 *
 * @param finding the relation of the class to the other copy, with its folder
 * @param folder of the copy that Signalbox uses
 */
export function secondCopy(className: string, name: string, finding: string, folder: string): ConfigurationError {
  return new ConfigurationError({
    class: className,
    reason: `${finding}, and the application runs with the copy of ${name} in ${folder}: one knows nothing of the other's classes and decorators.`,
    remedy: wayToOneCopy(name),
  });
}

export function wayToOneCopy(name: string): string {
  return `Let all use one: \`npm ls ${name}\` shows which package needs which. Bring the versions together, then npm dedupe; a package of your own that several applications share takes ${name} as a peer dependency.`;
}
