import type ts from 'typescript-6';

/** The compiler's internal flag of a property that a mapped type made readonly: `CheckFlags.Readonly`. */
const MAPPED_READONLY = 8;

/**
 * Whether a property is readonly. The compiler's interface does not report it for properties of mapped types. TypeScript 6 is the last
 * version with this interface, so the internal flag that is read here will not change.
 */
export function isReadonly(compiler: typeof ts, symbol: ts.Symbol): boolean {
  const { links } = symbol as { links?: { checkFlags?: number } };
  if ((links?.checkFlags ?? 0) & MAPPED_READONLY) return true;
  const { valueDeclaration } = symbol;
  if (!valueDeclaration) return false;
  return (compiler.getCombinedModifierFlags(valueDeclaration) & compiler.ModifierFlags.Readonly) !== 0;
}

/**
 * The project's comment on a property, and whether the property is deprecated. Comments from packages are left out, because the framework's
 * explain the wire; tags such as `@param` are left out, because they describe the server's method.
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
