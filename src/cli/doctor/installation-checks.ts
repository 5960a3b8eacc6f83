import { existsSync, readdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findPackage,
  loadedModules,
  nodeModulesOf,
  otherSignalboxes,
  ownFolder,
  readPackage,
  wayToOneCopy,
} from '../../copies.js';
import type { Check, Finding } from './check.js';

export const nodeIsNewEnough: Check = ({ folder }) => {
  const wanted = findPackage('signalbox', folder)?.engines?.node?.replace('>=', '');
  if (wanted === undefined || isAtLeast(process.versions.node, wanted)) return [];
  return error(
    `Node.js is ${process.versions.node}, and Signalbox needs ${wanted} or newer.`,
    'Install a newer Node.js.',
  );
};

export const signalboxIsInstalled: Check = ({ folder }) => {
  const installed = findPackage('signalbox', folder);
  if (!installed) return error('Signalbox is not installed.', 'Install the packages: npm install');
  const own = readPackage(ownFolder);
  if (!own || installed.folder === own.folder) return [];
  return warning(
    `This command belongs to Signalbox ${own.version} in ${own.folder}, and the application uses ${installed.version} in ${installed.folder}.`,
    "Run the application's own: npx signalbox doctor",
  );
};

export const typescriptIsNewEnough: Check = ({ folder }) => {
  const found = findPackage('typescript', folder);
  if (!found || isAtLeast(found.version, '5.9')) return [];
  return error(
    `TypeScript is ${found.version}, and the types of Signalbox need 5.9 or newer.`,
    'Install a newer one: npm install --save-dev typescript@latest',
  );
};

/** Each of MikroORM's packages has the exact version of the others as its peer. */
export const ormPackagesAreOfOneVersion: Check = ({ folder }) => {
  const packages = nodeModulesOf(folder).flatMap((modules) => {
    const scope = join(modules, '@mikro-orm');
    return existsSync(scope) ? readdirSync(scope).flatMap((name) => readPackage(join(scope, name)) ?? []) : [];
  });
  const versions = new Set(packages.map(({ version }) => version));
  if (packages.length === 0)
    return error('MikroORM is not installed.', 'Install @mikro-orm/core and the package of a driver, in one version.');
  if (versions.size === 1) return [];
  const listed = packages.map(({ name, version }) => `${name} ${version}`).sort();
  const core = packages.find(({ name }) => name === '@mikro-orm/core')?.version ?? [...versions][0];
  const names = [...new Set(packages.map(({ name }) => `${name}@${core}`))].sort();
  return error(
    `MikroORM's packages differ in version: ${listed.join(', ')}.`,
    `Install all of them in one version: npm install --save-exact ${names.join(' ')}`,
  );
};

/**
 * Checks that no package is installed twice. Two copies have two sets of classes: the metadata and container tokens of one mean nothing to
 * the other.
 */
export const peersAreThereOnce: Check = ({ folder }) => {
  const signalbox = findPackage('signalbox', folder);
  if (!signalbox) return [];
  const { peerDependencies = {}, peerDependenciesMeta = {} } = signalbox;
  const isRequired = (name: string): boolean => peerDependenciesMeta[name]?.optional !== true;
  return Object.keys(peerDependencies).flatMap((name): readonly Finding[] => {
    const ofApplication = findPackage(name, folder);
    const ofSignalbox = findPackage(name, signalbox.folder);
    if (!ofApplication) {
      if (!isRequired(name)) return [];
      return error(`${name} is not installed, and Signalbox needs it.`, `Install it: npm install ${name}`);
    }
    if (!ofSignalbox || ofSignalbox.folder === ofApplication.folder) return [];
    return error(
      `${name} is installed twice: ${ofApplication.version} in ${ofApplication.folder} for the application, and ${ofSignalbox.version} in ${ofSignalbox.folder} for Signalbox.`,
      `Let both use one: bring the versions in package.json together, then npm dedupe. \`npm ls ${name}\` shows who asks for which.`,
    );
  });
};

/**
 * Checks the packages that the process has loaded, with the application or without. Another check reports what start-up refuses for them.
 */
export const packagesAreLoadedOnce: Check = ({ app, folder }) => {
  if (app instanceof Error || findPackage('signalbox', folder)?.folder !== ownFolder) return [];
  const signalboxes = [ownFolder, ...otherSignalboxes()];
  return [
    ...loadedTwice('signalbox', signalboxes, 'warning', wayToOneCopy('signalbox')),
    ...entryModules.flatMap(([name, module]) => {
      const remedy = `That is right where a library uses its copy for itself. ${wayToOneCopy(name)}`;
      return loadedTwice(name, [...loadedModules(name, module).keys()], 'note', remedy);
    }),
  ];
};

/** For each package whose copies do not know each other, a module that every copy loads. */
const entryModules = [
  ['tsyringe', 'dist/cjs/index.js'],
  ['class-transformer', 'cjs/index.js'],
  ['class-validator', 'cjs/index.js'],
] as const;

/** The folders of copies, in the order in which they were loaded: the application's own copy comes first. */
function loadedTwice(
  name: string,
  folders: readonly string[],
  severity: 'warning' | 'note',
  remedy: string,
): readonly Finding[] {
  const there = folders.filter((folder) => existsSync(folder));
  if (there.length < 2) return [];
  return [{ severity, text: `The application loads ${name} from several places: ${there.join(' and ')}.`, remedy }];
}

const unfitRunners =
  /(^|[\s/])(tsx|esbuild-register|esno|vite-node|node --experimental-(?:strip|transform)-types|node(?= (?:\S+ )*\S+\.m?ts))(\s|$)/;

/** Checks the scripts' compilers: some leave out the types of parameters and properties, which the container and the decorators read. */
export const scriptsCompileWithMetadata: Check = ({ manifest }) => {
  const { scripts = {} } = manifest as { readonly scripts?: Readonly<Record<string, string>> };
  return Object.entries(scripts).flatMap(([name, script]) => {
    const [, , runner] = unfitRunners.exec(script) ?? [];
    if (runner === undefined) return [];
    if (runner.startsWith('node')) {
      return warning(
        `The script "${name}" lets Node.js run TypeScript, which takes no decorators: SyntaxError: Invalid or unexpected token.`,
        'Compile with tsc and run the result: tsc -b && node dist/main.js',
      );
    }
    return warning(
      `The script "${name}" uses ${runner}, which emits no decorator metadata: the container passes nothing to constructors.`,
      'Compile with tsc and run the result: tsc -b && node dist/main.js',
    );
  });
};

export const metadataIsEmitted: Check = async ({ folder }) => {
  const names = await readdir(join(folder, 'dist'), { recursive: true }).catch(() => []);
  const texts = await Promise.all(
    names.filter((name) => name.endsWith('.js')).map((name) => readFile(join(folder, 'dist', name), 'utf8')),
  );
  const decorated = texts.filter((text) => text.includes('__decorate(['));
  if (decorated.length === 0 || decorated.some((text) => text.includes('__metadata("design:'))) return [];
  return error(
    'The classes in dist/ are decorated, and compiled without the types of their members and parameters.',
    'Set "experimentalDecorators" and "emitDecoratorMetadata" to true in tsconfig.json, and build with tsc.',
  );
};

/** Compares dotted version numbers; a suffix after a hyphen does not count. */
function isAtLeast(version: string, wanted: string): boolean {
  const numbersOf = (text: string): number[] => (text.split('-')[0] ?? '').split('.').map(Number);
  const [found, needed] = [numbersOf(version), numbersOf(wanted)];
  for (const [at, number] of needed.entries()) {
    if ((found[at] ?? 0) !== number) return (found[at] ?? 0) > number;
  }
  return true;
}

function error(text: string, remedy: string): readonly Finding[] {
  return [{ severity: 'error', text, remedy }];
}

function warning(text: string, remedy: string): readonly Finding[] {
  return [{ severity: 'warning', text, remedy }];
}
