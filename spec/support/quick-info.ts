import { fileURLToPath } from 'node:url';
// The TypeScript 7 that compiles this has no API yet.
import ts from 'typescript-6';

const root = fileURLToPath(new URL('../../../', import.meta.url));
// Beside the other specs of types, so that their entities can be imported. No such file is written.
const path = `${root}spec/types/hovered.ts`;

/**
 * The quick info that an editor shows of a program, as its text. A comment before an expression marks what is looked at. Signalbox is
 * read from its declarations in dist/, as users have it.
 */
export class QuickInfo {
  readonly #text: string;
  readonly #service: ts.LanguageService;

  constructor(text: string) {
    this.#text = text;
    const config = ts.readConfigFile(`${root}tsconfig.base.json`, ts.sys.readFile);
    const { options } = ts.convertCompilerOptionsFromJson(config.config.compilerOptions, root);
    this.#service = ts.createLanguageService({
      getScriptFileNames: () => [path],
      getScriptVersion: () => '1',
      getScriptSnapshot: (name) => {
        const content = name === path ? text : ts.sys.readFile(name);
        return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
      },
      getCurrentDirectory: () => root,
      getCompilationSettings: () => ({ ...options, composite: false, noEmit: true }),
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: (name) => name === path || ts.sys.fileExists(name),
      readFile: ts.sys.readFile,
      directoryExists: ts.sys.directoryExists,
    });
  }

  /** The complaints of the compiler, one text each. */
  get errors(): readonly string[] {
    return this.#service
      .getSemanticDiagnostics(path)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  }

  /** @param mark the comment before a name, or before an expression whose last name is meant */
  of(mark: string): string {
    const comment = `/*${mark}*/`;
    const at = this.#text.indexOf(comment);
    if (at === -1) throw new Error(`There is no ${comment} in the program.`);
    const [expression = ''] = /^[\w.$]+/.exec(this.#text.slice(at + comment.length)) ?? [];
    const info = this.#service.getQuickInfoAtPosition(path, at + comment.length + expression.lastIndexOf('.') + 1);
    if (!info) throw new Error(`Nothing is shown behind ${comment}.`);
    return ts.displayPartsToString(info.displayParts);
  }
}
