import type ts from 'typescript-6';

/** The compiler's own mark of a property that a mapped type made readonly: `CheckFlags.Readonly`. */
const MAPPED_READONLY = 8;

/**
 * Whether a property is readonly. The interface of the compiler does not say it of the properties of mapped types; TypeScript
 * 6 is the last that has this interface, so what is read here stays as it is.
 */
export function isReadonly(compiler: typeof ts, symbol: ts.Symbol): boolean {
  const { links } = symbol as { links?: { checkFlags?: number } };
  if ((links?.checkFlags ?? 0) & MAPPED_READONLY) return true;
  const { valueDeclaration } = symbol;
  if (!valueDeclaration) return false;
  return (compiler.getCombinedModifierFlags(valueDeclaration) & compiler.ModifierFlags.Readonly) !== 0;
}

/**
 * What the project says above a property, and whether it is deprecated. Not what a package says of its own: that of the
 * framework explains the wire; and `@param` and the like speak of the server's method.
 */
export function linesOfComment(compiler: typeof ts, checker: ts.TypeChecker, symbol: ts.Symbol): readonly string[] {
  const isOwn = (declaration: ts.Declaration) => !declaration.getSourceFile().isDeclarationFile;
  if (!symbol.declarations?.some(isOwn)) return [];
  const comment = compiler.displayPartsToString(symbol.getDocumentationComment(checker));
  const deprecated = symbol.getJsDocTags(checker).find(({ name }) => name === 'deprecated');
  const tag = deprecated && `@deprecated ${compiler.displayPartsToString(deprecated.text)}`.trim();
  const lines = [comment, tag ?? ''].filter((part) => part !== '').join('\n');
  return lines === '' ? [] : lines.replaceAll('*/', '*\\/').split(/\r?\n/);
}
