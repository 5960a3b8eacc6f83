import { readdir } from 'node:fs/promises';
import { basename, relative, resolve } from 'node:path';
import { Option } from 'commander';
import { runProgram } from '../child-process.js';
import { type AddCommand, CommandFailed, type Terminal, UsageError } from '../command.js';
import {
  detectedPackageManager,
  type PackageManager,
  packageManagerNames,
  packageManagers,
} from './package-manager.js';
import { copyTemplate, type Database, databases, publishedFramework, type Template, templates } from './template.js';

interface NewOptions {
  readonly template?: Template;
  readonly database?: Database;
  readonly packageManager?: PackageManager;
  readonly framework?: string;
  readonly install: boolean;
  readonly git: boolean;
  readonly yes?: boolean;
}

const DESCRIPTION =
  'Makes a new application in a folder: copies a template, initialises git, and installs the packages. Nothing else is ' +
  'fetched. What no option says is asked; without a terminal, or with --yes, it is the default.';

const FRAMEWORK = 'the Signalbox to depend on: a version, a tarball or a folder (default: this version)';

/** `signalbox new my-app`: makes an application that runs. */
export const newApplication: AddCommand = (program, terminal) => {
  program
    .command('new')
    .summary('make a new application')
    .description(DESCRIPTION)
    .argument('[folder]', 'where; its name is the name of the application')
    .addOption(option('-t, --template <name>', 'what it begins with', Object.keys(templates), 'minimal'))
    .addOption(option('-d, --database <name>', 'where its rows are', Object.keys(databases), 'pglite'))
    .addOption(option('-p, --package-manager <name>', 'what installs', packageManagerNames, 'what runs this'))
    .option('--framework <version>', FRAMEWORK)
    .option('--no-install', 'do not install the packages')
    .option('--no-git', 'do not initialise git')
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', `\nTemplates:\n${listed(templates)}\nDatabases:\n${listed(databases)}`)
    .action((folder: string | undefined, options: NewOptions) => create(folder, options, terminal));
};

/** An option. Its default is shown, not set, so that the command can ask for options that were left out. */
function option(flags: string, about: string, choices: readonly string[], usual: string): Option {
  return new Option(flags, `${about} (default: ${usual})`).choices(choices);
}

async function create(given: string | undefined, options: NewOptions, terminal: Terminal): Promise<void> {
  const started = performance.now();
  const ask = options.yes ? undefined : terminal.ask;
  const typed =
    given ?? (await ask?.('Name of the application (my-app): ').then((answer) => answer.trim() || 'my-app'));
  if (typed === undefined) throw new UsageError('Name the folder: signalbox new my-app');
  const folder = resolve(terminal.folder, typed);
  const name = checkedName(basename(folder));
  await checkEmpty(folder, typed);
  const template = options.template ?? (await choose('Template', templates, 'minimal', ask, terminal));
  const database = options.database ?? (await choose('Database', databases, 'pglite', ask, terminal));
  const packageManager = options.packageManager ?? detectedPackageManager(terminal.env);
  const framework = options.framework ?? publishedFramework();

  terminal.err(`Creating ${name} from the template ${template}, with ${database}.\n`);
  const count = await copyTemplate(folder, name, { template, database, packageManager, framework });
  terminal.err(`Copied ${count} files.\n`);
  const path = relative(terminal.folder, folder);
  const failed = [
    ...(options.git ? await initialiseGit(folder, terminal) : []),
    ...(options.install ? await install(packageManager, folder, terminal) : []),
  ];
  if (failed.length > 0) throw new CommandFailed(repeat(path, failed));
  terminal.err(`Done in ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
  terminal.out(next(path, packageManager, database, options));
}

/** The name of the folder and of the package, so npm's rules apply. */
function checkedName(name: string): string {
  if (/^[a-z\d][a-z\d._-]*$/.test(name) && name.length <= 214) return name;
  throw new UsageError(
    `"${name}" cannot be the name of a package. Use lower-case letters, digits, ".", "_" and "-", beginning with a letter or ` +
      'a digit: my-app',
  );
}

async function checkEmpty(folder: string, typed: string): Promise<void> {
  const present = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new CommandFailed(`${typed} is a file. Name a folder that does not exist yet.`);
    throw error;
  });
  const found = present.filter((name) => name !== '.git').sort();
  if (found.length === 0) return;
  const shown = found.slice(0, 3).join(', ');
  const more = found.length > 3 ? ` and ${found.length - 3} more` : '';
  throw new CommandFailed(
    `The folder ${typed} is not empty: it has ${shown}${more}. Nothing was written; name another folder.`,
  );
}

/** Asks until the answer is a choice. Without a user at the terminal, it takes the default. */
async function choose<Choices extends Readonly<Record<string, string>>>(
  what: string,
  choices: Choices,
  usual: keyof Choices & string,
  ask: Terminal['ask'],
  { err }: Terminal,
): Promise<keyof Choices & string> {
  if (!ask) return usual;
  err(`${what}:\n${listed(choices)}`);
  for (;;) {
    const answer = (await ask(`${what} (${usual}): `)).trim() || usual;
    if (Object.hasOwn(choices, answer)) return answer;
    err(`"${answer}" is none of ${Object.keys(choices).join(', ')}.\n`);
  }
}

/** A command that failed, and the advice for the user. */
interface FailedStep {
  readonly command: readonly string[];
  readonly reason: string;
}

/** Makes a git repository, unless the folder is in another repository, which has the new files already. */
async function initialiseGit(folder: string, terminal: Terminal): Promise<readonly FailedStep[]> {
  const quiet = { env: terminal.env, err: () => undefined };
  const isInside = await runProgram(['git', 'rev-parse', '--is-inside-work-tree'], folder, quiet);
  if (isInside === undefined) terminal.err('git is not installed, so no repository was made.\n');
  else if (isInside === 0) terminal.err('The folder already belongs to a git repository.\n');
  else {
    const command = ['git', 'init', '--quiet', '--initial-branch=main'];
    const code = await runProgram(command, folder, terminal);
    if (code !== 0) return [{ command, reason: `git ended with ${code}` }];
    terminal.err('Initialised a git repository.\n');
  }
  return [];
}

async function install(manager: PackageManager, folder: string, terminal: Terminal): Promise<readonly FailedStep[]> {
  const command = packageManagers[manager].install;
  terminal.err(`Installing packages: ${command.join(' ')}\n`);
  const code = await runProgram(command, folder, terminal);
  if (code === 0) return [];
  return [{ command, reason: code === undefined ? `there is no ${manager}` : `${manager} ended with ${code}` }];
}

function repeat(path: string, failed: readonly FailedStep[]): string {
  const reasons = failed.map(({ reason }) => reason).join(', and ');
  const commands = [...enter(path), ...failed.map(({ command }) => command.join(' '))];
  return `The files are there, but ${reasons}. Repeat what failed:\n\n${indented(commands)}`;
}

function next(path: string, manager: PackageManager, database: Database, { install: isInstalled }: NewOptions): string {
  const { run, install: command } = packageManagers[manager];
  const commands = [
    ...enter(path),
    ...(isInstalled ? [] : [command.join(' ')]),
    ...(database === 'postgresql' ? ['docker compose up -d    # or name your server in .env'] : []),
    `${run} dev`,
  ];
  return `\nNext:\n\n${indented(commands)}\n`;
}

function enter(path: string): readonly string[] {
  return path === '' ? [] : [`cd ${path}`];
}

function indented(commands: readonly string[]): string {
  return commands.map((command) => `  ${command}`).join('\n');
}

/** The choices, one per line. */
function listed(choices: Readonly<Record<string, string>>): string {
  return Object.entries(choices)
    .map(([name, about]) => `  ${name.padEnd(12)}${about}\n`)
    .join('');
}
