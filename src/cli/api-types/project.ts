import { relative, resolve } from 'node:path';
import type ts from 'typescript-6';
import { CommandFailed } from '../command.js';

/** How many compiler errors are shown for a project that does not compile. */
const SHOWN_ERRORS = 5;

export interface ExportedType {
  readonly checker: ts.TypeChecker;
  readonly type: ts.Type;
}

/** A TypeScript project, described by its tsconfig.json. */
export class Project {
  private readonly program: ts.Program;
  private readonly files: readonly ts.SourceFile[];

  /**
   * @param folder the base of relative paths
   * @param config path of the tsconfig.json
   */
  constructor(
    private readonly compiler: typeof ts,
    private readonly folder: string,
    private readonly config: string,
  ) {
    const parsed = this.parse();
    if (parsed.fileNames.length === 0)
      throw new CommandFailed(`${config} has no files. Name the server's project: --project`);
    const options = { ...parsed.options, skipLibCheck: true };
    const { projectReferences, fileNames: rootNames, errors: configFileParsingDiagnostics } = parsed;
    this.program = compiler.createProgram({
      rootNames,
      options,
      configFileParsingDiagnostics,
      ...(projectReferences && { projectReferences }),
    });
    this.files = rootNames.flatMap((name) => this.program.getSourceFile(name) ?? []);
  }

  /**
   * A type that the project exports.
   *
   * @param from the file that exports it; without it, the only file that exports the name
   * @throws CommandFailed if the project does not compile, because its types would be wrong
   */
  exportedType(name: string, from?: string): ExportedType {
    this.refuseErrors();
    const checker = this.program.getTypeChecker();
    const symbol = this.exportedSymbol(checker, name, from);
    const declared = symbol.flags & this.compiler.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (!(declared.flags & this.compiler.SymbolFlags.Type)) throw new CommandFailed(`${name} is a value, not a type.`);
    return { checker, type: checker.getDeclaredTypeOfSymbol(declared) };
  }

  private parse(): ts.ParsedCommandLine {
    const host: ts.ParseConfigFileHost = {
      ...this.compiler.sys,
      onUnRecoverableConfigFileDiagnostic: (fault) => {
        throw new CommandFailed(this.compiler.flattenDiagnosticMessageText(fault.messageText, '\n'));
      },
    };
    const parsed = this.compiler.getParsedCommandLineOfConfigFile(resolve(this.folder, this.config), {}, host);
    if (!parsed) throw new CommandFailed(`${this.config} cannot be read.`);
    return parsed;
  }

  private refuseErrors(): void {
    const { program } = this;
    const faults = [
      ...program.getConfigFileParsingDiagnostics(),
      ...program.getOptionsDiagnostics(),
      ...program.getSyntacticDiagnostics(),
      ...program.getSemanticDiagnostics(),
    ].filter(({ category }) => category === this.compiler.DiagnosticCategory.Error);
    if (faults.length === 0) return;
    const shown = faults.slice(0, SHOWN_ERRORS).map((fault) => `  ${this.describe(fault)}`);
    const count = faults.length === 1 ? 'one error' : `${faults.length} errors`;
    throw new CommandFailed(
      `${this.config} does not compile under TypeScript ${this.compiler.version}: ${count}, so its types cannot be ` +
        `trusted.\n${shown.join('\n')}`,
    );
  }

  private describe({ file, start, code, messageText }: ts.Diagnostic): string {
    const text = `TS${code}: ${this.compiler.flattenDiagnosticMessageText(messageText, '\n    ')}`;
    if (!file || start === undefined) return text;
    return `${this.pathOf(file)}:${file.getLineAndCharacterOfPosition(start).line + 1} ${text}`;
  }

  private pathOf(file: ts.SourceFile): string {
    return relative(this.folder, file.fileName).replaceAll('\\', '/');
  }

  private exportedSymbol(checker: ts.TypeChecker, name: string, from?: string): ts.Symbol {
    const found = this.candidates(from).flatMap((file) => {
      const symbol = exportsOf(checker, file).find((each) => each.name === name);
      return symbol ? [{ file, symbol }] : [];
    });
    const [first, ...others] = found;
    if (!first)
      throw new CommandFailed(`${from ?? `No file of ${this.config}`} exports ${from ? `no ${name}` : name}.`);
    if (others.length > 0) {
      const paths = found.map(({ file }) => this.pathOf(file)).join(', ');
      throw new CommandFailed(`Several files export ${name}: ${paths}. Name one: --from`);
    }
    return first.symbol;
  }

  private candidates(from: string | undefined): readonly ts.SourceFile[] {
    if (from === undefined) return this.files;
    const file = this.program.getSourceFile(resolve(this.folder, from));
    if (!file) throw new CommandFailed(`${from} is no file of ${this.config}.`);
    return [file];
  }
}

function exportsOf(checker: ts.TypeChecker, file: ts.SourceFile): readonly ts.Symbol[] {
  const module = checker.getSymbolAtLocation(file);
  return module ? checker.getExportsOfModule(module) : [];
}
