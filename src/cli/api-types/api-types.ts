import { dirname, resolve } from 'node:path';
import type ts from 'typescript-6';
import { type AddCommand, CommandFailed } from '../command.js';
import { addOutputOptions, type OutputOptions, output } from '../output.js';
import { loadCompiler } from './compiler.js';
import { Project } from './project.js';
import { printDeclarations } from './shape-printer.js';
import { ShapeReader } from './shape-reader.js';

const HEADER = '// Written by `signalbox api:types`. Do not edit it: run that again.\n\n';

const DESCRIPTION = `Writes the type of everything that a client may call as one declaration file without imports, for clients in
another repository. It needs the compiler interface of TypeScript 6 (or 5.9); a project that is compiled with
TypeScript 7 installs it beside: npm install --save-dev @typescript/typescript6`;

interface ApiTypesOptions extends OutputOptions {
  readonly project?: string;
  readonly from?: string;
  readonly export?: string;
}

/** `signalbox api:types`: writes the inferred type of an application, expanded, into one file. */
export const apiTypes: AddCommand = (program, terminal) => {
  const command = program
    .command('api:types')
    .summary('write the types of the API as one file, for clients in another repository')
    .description(DESCRIPTION)
    .option('-p, --project <path>', "the server's project (default: tsconfig.json)")
    .option('--from <path>', 'the file that exports the type (default: the only one of the project that does)')
    .option('--export <name>', 'the type, as in: export type Api = AppApi<typeof app> (default: Api)');
  addOutputOptions(command).action((options: ApiTypesOptions) =>
    output(() => write(options, terminal.folder), options, terminal),
  );
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
