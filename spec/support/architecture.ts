import { basename, dirname, posix } from 'node:path';
// The TypeScript 7 that compiles this has no API yet.
import ts from 'typescript-6';

/** Paths below `src/`, with slashes, and the text of each file. */
export type Sources = ReadonlyMap<string, string>;

/** A package, and the one place that may import it. */
export interface Door {
  readonly name: string;
  readonly opens: (specifier: string) => boolean;
  readonly stands: (path: string) => boolean;
  readonly where: string;
  readonly files?: number;
}

export interface Plan {
  /** From the ground up. The files beside `index.ts` are the ground, the room `root`. */
  readonly rooms: readonly string[];
  /** Rooms that may import less than what stands before them. */
  readonly narrow: Readonly<Record<string, readonly string[]>>;
  readonly doors: readonly Door[];
  /** The `index.ts` of the main export and of each subpath export. */
  readonly barrels: readonly string[];
  readonly forbiddenFolders: readonly string[];
  /** Whether the timers of a file may stay in the async context of their caller: each belongs to one request, or nothing is served. */
  readonly keepsContexts: (path: string) => boolean;
}

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** The file of `src/` it leads to; undefined for a package. */
  readonly target: string | undefined;
}

interface Module {
  readonly path: string;
  readonly room: string;
  readonly imports: readonly Import[];
  /** The lines that set a timer of Node in the async context of their caller. */
  readonly attachedTimers: readonly number[];
}

export interface Architecture {
  readonly plan: Plan;
  readonly modules: readonly Module[];
}

export function architecture(sources: Sources, plan: Plan): Architecture {
  return { plan, modules: [...sources].map(([path, text]) => moduleOf(path, text, sources)) };
}

function moduleOf(path: string, text: string, sources: Sources): Module {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const nodes = descendants(source);
  const lineOf = (node: ts.Node): number => source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
  const imports = nodes.flatMap((node) => {
    const found = specifierOf(node);
    if (found === undefined || !ts.isStringLiteralLike(found)) return [];
    return [{ specifier: found.text, line: lineOf(found), target: targetOf(path, found.text, sources) }];
  });
  const attachedTimers = nodes.filter((node) => isTimer(node) && !isDetached(node)).map(lineOf);
  return { path, room: roomOf(path), imports, attachedTimers };
}

function isTimer(node: ts.Node): boolean {
  const timers = ['setTimeout', 'setInterval', 'setImmediate', 'process.nextTick'];
  return ts.isCallExpression(node) && timers.includes(node.expression.getText());
}

function isDetached(node: ts.Node): boolean {
  if (ts.isCallExpression(node) && node.expression.getText() === 'runDetached') return true;
  return node.parent !== undefined && isDetached(node.parent);
}

function descendants(node: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Of `import … from`, `export … from`, `import()`, `typeof import()` and `import x = require()`. */
function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return node.arguments[0];
  return undefined;
}

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : 'root';
}

function targetOf(from: string, specifier: string, sources: Sources): string | undefined {
  if (specifier === 'signalbox') return 'index.ts';
  const own = /^(?:#signalbox|signalbox)\/(.+)$/.exec(specifier)?.[1];
  if (own === undefined && !specifier.startsWith('.')) return undefined;
  const stem = posix.normalize(own ?? posix.join(dirname(from), specifier)).replace(/\.jsx?$/, '');
  return [`${stem}.ts`, `${stem}.tsx`, `${stem}/index.ts`].find((path) => sources.has(path)) ?? stem;
}

export function unknownRooms({ plan, modules }: Architecture): string[] {
  const known = ['root', ...plan.rooms];
  const strangers = new Set(modules.map(({ room }) => room).filter((room) => !known.includes(room)));
  return [...strangers].map(
    (room) =>
      `src/${room}/ is not a room of DESIGN.md section 3: move its files, or write the decision and add the room`,
  );
}

export function upwardImports({ plan, modules }: Architecture): string[] {
  const order = ['root', ...plan.rooms];
  return importsOf(modules, (module, { target, line }) => {
    if (target === undefined || isMainBarrel(module.path) || isMainBarrel(target)) return undefined;
    const room = roomOf(target);
    const narrow = plan.narrow[module.room];
    if (narrow !== undefined && room !== module.room && !narrow.includes(room))
      return `${module.path}:${line} imports ${target}, but ${module.room}/ may import only ${narrow.join(', ')}`;
    if (order.indexOf(room) <= order.indexOf(module.room)) return undefined;
    return (
      `${module.path}:${line} imports ${target}, but ${room}/ stands above ${module.room}: ` +
      'let the lower room own an interface, or move what both need to a lower room'
    );
  });
}

export function barrelImports({ plan, modules }: Architecture): string[] {
  const strays = modules
    .filter(({ path }) => basename(path) === 'index.ts' && !plan.barrels.includes(path))
    .map(
      ({ path }) =>
        `${path} is no export of package.json: only those have an index.ts, name the file after what it holds`,
    );
  const imported = importsOf(modules, ({ path }, { target, line }) => {
    if (target === undefined || basename(target) !== 'index.ts' || plan.barrels.includes(path)) return undefined;
    return `${path}:${line} imports ${target}, but an index.ts is only for users: import the file that has the name`;
  });
  return [...strays, ...imported];
}

export function openDoors({ plan, modules }: Architecture): string[] {
  return plan.doors.flatMap((door) => {
    const strays = importsOf(modules, ({ path }, { specifier, line }) => {
      if (!door.opens(specifier) || door.stands(path)) return undefined;
      return `${path}:${line} imports ${specifier}, but ${door.name} is known to ${door.where} only`;
    });
    return [...strays, ...crowdedDoor(door, modules)];
  });
}

function crowdedDoor(door: Door, modules: readonly Module[]): string[] {
  const users = modules.filter(({ imports }) => imports.some(({ specifier }) => door.opens(specifier)));
  const files = users.map(({ path }) => path).filter(door.stands);
  if (door.files === undefined || files.length <= door.files) return [];
  return [`${files.join(' and ')} import ${door.name}, but ${door.where} is its only door: leave it to one of them`];
}

export function cycles({ modules }: Architecture): string[] {
  const edges = new Map(modules.map(({ path, imports }) => [path, imports.flatMap(({ target }) => target ?? [])]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) found.push(cycleMessage([...trail.slice(start), path]));
    if (start !== -1 || done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of modules) visit(path, []);
  return found;
}

function cycleMessage(trail: readonly string[]): string {
  return `${trail.join(' -> ')} is a cycle (type imports count): move what both sides need to a file below both`;
}

export function badNames({ plan, modules }: Architecture): string[] {
  return modules.flatMap(({ path }) => {
    const folders = path.split('/').slice(0, -1);
    const forbidden = folders.filter((folder) => plan.forbiddenFolders.includes(folder));
    const misnamed = [...folders, basename(path).replace(/\.tsx?$/, '')].filter(
      (name) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name),
    );
    return [
      ...forbidden.map(
        (folder) => `${path} is in a folder ${folder}/, which says nothing: name it after what is in it`,
      ),
      ...misnamed.map((name) => `${path}: ${name} is not kebab-case, as the names of files and folders are`),
    ];
  });
}

export function attachedTimers({ plan, modules }: Architecture): string[] {
  return modules
    .filter(({ path }) => !plan.keepsContexts(path))
    .flatMap(({ path, attachedTimers: lines }) =>
      lines.map(
        (line) => `${path}:${line} sets a timer that keeps the request of its caller: runDetached(() => setTimeout(…))`,
      ),
    );
}

function isMainBarrel(path: string): boolean {
  return path === 'index.ts';
}

function importsOf(modules: readonly Module[], judge: (module: Module, one: Import) => string | undefined): string[] {
  return modules.flatMap((module) => module.imports.flatMap((one) => judge(module, one) ?? []));
}
