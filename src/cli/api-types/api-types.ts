import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type ts from 'typescript-6';
import { type AddCommand, CommandFailed, type Terminal, UsageError } from '../command.js';
import { loadCompiler } from './compiler.js';
import { Project } from './project.js';
import { printDeclarations } from './shape-printer.js';
import { ShapeReader } from './shape-reader.js';

const HEADER = '// Written by `signalbox api:types`. Do not edit it: run that again.\n\n';

const DESCRIPTION = `Writes the type of everything that a client may call as one declaration file without imports, for clients in
another repository. It needs the compiler interface of TypeScript 6 (or 5.9); a project that is compiled with
TypeScript 7 installs it beside: npm install --save-dev @typescript/typescript6`;

interface ApiTypesOptions {
  readonly project?: string;
  readonly from?: string;
  readonly export?: string;
  readonly out?: string;
  readonly check?: boolean;
}

/** `signalbox api:types`: writes the inferred type of an application, expanded, into one file. */
export const apiTypes: AddCommand = (program, terminal) => {
  program
    .command('api:types')
    .summary('write the types of the API as one file, for clients in another repository')
    .description(DESCRIPTION)
    .option('-p, --project <path>', "the server's project (default: tsconfig.json)")
    .option('--from <path>', 'the file that exports the type (default: the only one of the project that does)')
    .option('--export <name>', 'the type, as in: export type Api = AppApi<typeof app> (default: Api)')
    .option('-o, --out <path>', 'the file to write (default: the standard output)')
    .option('--check', 'write nothing; exit code 1 if the file is not as it would be written')
    .action(async (options: ApiTypesOptions) => {
      const { out, check = false } = options;
      if (check && out === undefined) throw new UsageError('--check compares a file: name it with --out.');
      const written = write(options, terminal.folder);
      if (out === undefined) return terminal.out(written);
      await (check ? compare(written, out, terminal) : save(written, out, terminal));
    });
};

function write({ project = 'tsconfig.json', from, export: name = 'Api' }: ApiTypesOptions, folder: string): string {
  const compiler = loadCompiler(dirname(resolve(folder, project)));
  const { checker, type } = new Project(compiler, folder, project).exportedType(name, from);
  const shape = new ShapeReader(compiler, checker).read(type, [name]);
  if (shape.kind !== 'object' || isAnyApplication(checker, type)) {
    throw new CommandFailed(
      `${name} does not say what one route offers: it is ${checker.typeToString(type)}. Where the application has several ` +
        "routes, name the whole path of one: AppApi<typeof app, '/ws/'>. Where it is annotated as App, leave that out, so that " +
        'its routes are inferred.',
    );
  }
  return HEADER + printDeclarations(shape, name);
}

/** Whether it is the type of an application without known routes: any stream of any consumer. */
function isAnyApplication(checker: ts.TypeChecker, type: ts.Type): boolean {
  return checker.getIndexInfosOfType(type).length > 0;
}

async function save(written: string, out: string, { folder, err }: Terminal): Promise<void> {
  const path = resolve(folder, out);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, written);
  err(`Wrote ${out}.\n`);
}

async function compare(written: string, out: string, { folder }: Terminal): Promise<void> {
  const present = await readFile(resolve(folder, out), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CommandFailed(`${out} does not exist. Write it: leave --check out.`);
    throw error;
  });
  // A checkout may have converted the line endings.
  if (present.replaceAll('\r\n', '\n') !== written) {
    throw new CommandFailed(
      `${out} is out of date: the application's types have changed. Write it again: leave --check out.`,
    );
  }
}
