// The TypeScript 7 that compiles this has no API yet.
import ts from 'typescript-6';

export interface Span {
  readonly name: string;
  readonly line: number;
  /** Between the braces, without the classes in there: their methods are measured one by one. */
  readonly lines: number;
}

export interface SourceShape {
  readonly lines: number;
  readonly imports: readonly { readonly specifier: string; readonly line: number }[];
  readonly functions: readonly Span[];
}

export function sourceShape(path: string, text: string): SourceShape {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const nodes = descendants(source);
  return {
    lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0),
    imports: nodes.flatMap((node) => {
      const specifier = specifierOf(node);
      return specifier === undefined ? [] : [{ specifier: specifier.text, line: lineOf(source, specifier.getStart()) }];
    }),
    functions: nodes.flatMap((node) => (ts.isFunctionLike(node) ? (spanOf(source, node) ?? []) : [])),
  };
}

function descendants(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Of `import … from`, `export … from`, `import()`, `typeof import()` and `import x = require()`. */
function specifierOf(node: ts.Node): ts.StringLiteralLike | undefined {
  const found = specifierNodeOf(node);
  return found !== undefined && ts.isStringLiteralLike(found) ? found : undefined;
}

function specifierNodeOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return node.arguments[0];
  return undefined;
}

function spanOf(source: ts.SourceFile, node: ts.SignatureDeclaration): Span | undefined {
  if (!('body' in node) || node.body === undefined || !ts.isBlock(node.body)) return undefined;
  const between = Math.max(0, height(source, node.body) - 2);
  const classes = outermostClasses(node.body).reduce((sum, one) => sum + height(source, one), 0);
  return { name: nameOf(node), line: lineOf(source, node.getStart()), lines: Math.max(0, between - classes) };
}

function outermostClasses(node: ts.Node): ts.Node[] {
  const found: ts.Node[] = [];
  node.forEachChild((child) => void found.push(...(ts.isClassLike(child) ? [child] : outermostClasses(child))));
  return found;
}

function nameOf(node: ts.SignatureDeclaration): string {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined);
  if (named !== undefined) return named.getText();
  return ts.isConstructorDeclaration(node) ? 'the constructor' : 'a function';
}

function height(source: ts.SourceFile, node: ts.Node): number {
  return lineOf(source, node.getEnd()) - lineOf(source, node.getStart()) + 1;
}

function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}
