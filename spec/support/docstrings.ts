import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
// The TypeScript 7 that compiles this has no API yet.
import ts from 'typescript-6';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A public name, and its public members that are its own. */
export interface PublicName {
  readonly name: string;
  /** Where users import it from: `signalbox`, `signalbox/client`. */
  readonly from: string;
  readonly isDocumented: boolean;
  readonly members: readonly PublicMember[];
}

export interface PublicMember {
  /** `ActionOptions.status` */
  readonly name: string;
  readonly isDocumented: boolean;
}

/** The exports of every entry point of the package, read from the declarations that it publishes. */
export function publicNames(): readonly PublicName[] {
  const entries = entryPoints();
  const options = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noLib: true };
  const program = ts.createProgram([...entries.values()], options);
  const checker = program.getTypeChecker();
  return [...entries].flatMap(([from, path]) => {
    const file = program.getSourceFile(path);
    const module = file && checker.getSymbolAtLocation(file);
    if (!module) throw new Error(`${path} is no module. Build the package first: tsc -b`);
    return checker.getExportsOfModule(module).map((symbol) => publicName(symbol, from, checker));
  });
}

/** Import path -> file of declarations. */
function entryPoints(): ReadonlyMap<string, string> {
  const { exports }: { exports: Record<string, string | { types: string }> } = JSON.parse(
    readFileSync(`${root}package.json`, 'utf8'),
  );
  const entries = Object.entries(exports).flatMap(([path, target]): [string, string][] =>
    typeof target === 'string' ? [] : [[path.replace('.', 'signalbox'), `${root}${target.types}`]],
  );
  return new Map(entries);
}

function publicName(exported: ts.Symbol, from: string, checker: ts.TypeChecker): PublicName {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const { name } = exported;
  const members = (symbol.declarations ?? []).filter(hasMembers).flatMap(({ members }) => [...members]);
  return {
    name,
    from,
    isDocumented: isDocumented(symbol, checker),
    members: members.flatMap((member) => publicMember(member, name, checker)),
  };
}

function hasMembers(node: ts.Declaration): node is ts.ClassDeclaration | ts.InterfaceDeclaration {
  return ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node);
}

/** Protected members count: they are what an application overrides. An override has the docstring of what it overrides. */
function publicMember(
  member: ts.ClassElement | ts.TypeElement,
  owner: string,
  checker: ts.TypeChecker,
): PublicMember[] {
  if (!member.name || !ts.isIdentifier(member.name)) return [];
  if (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) return [];
  const symbol = checker.getSymbolAtLocation(member.name);
  return symbol ? [{ name: `${owner}.${symbol.name}`, isDocumented: isDocumented(symbol, checker) }] : [];
}

/** A name that stands for a type and a value has its docstring at either. */
function isDocumented(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  return symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0;
}
