import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** Something that takes the place of a part of the framework, which is found by its name. */
export interface Fault {
  /**
   * A function, class or constant at the top level of one module, exported or not; or, as `Class.member`, a method or
   * accessor of it.
   */
  readonly symbol: string;
  /** The module that declares it, where several declare this name: its path without `.ts`, such as `orm/change-capture`. */
  readonly in?: string;
  /** The package that exports the class whose member it is. Default: the framework. */
  readonly of?: string;
  /** @returns what takes its place */
  readonly with: (original: never) => unknown;
}

/** A way to break a promise, and the specs that have to notice. */
export interface Bug {
  /** What a user would see. */
  readonly name: string;
  /** What the code does wrong. */
  readonly story: string;
  readonly plant: Fault | readonly Fault[];
  /** In `spec/`, without `.spec.ts`: at least one of their facts has to fail. */
  readonly caughtBy: readonly string[];
}

/** A fault of a module that is about to be loaded. */
interface Planned {
  readonly fault: Fault;
  readonly complain: Complain;
}

type Complain = (reason: string) => void;

/** By the URL of the module. */
const planned = new Map<string, Planned[]>();

/**
 * Loads each module that declares what a bug names, and puts the fault in its place. These modules must not be loaded before.
 *
 * @param urls of all compiled modules in which a bug may be
 * @throws Error with one line for each fault that cannot be planted, which names the bug and the symbol
 */
export async function plant(bugs: readonly Bug[], urls: readonly URL[]): Promise<void> {
  const modules = modulesByName(urls);
  const complaints: string[] = [];
  for (const { name, plant: faults } of bugs) {
    const complain = (reason: string): void =>
      void complaints.push(`The bug "${name}" cannot be planted: ${reason} Correct its symbol in bugs.ts.`);
    for (const fault of [faults].flat()) {
      if (fault.of === undefined) plan({ fault, complain }, modules);
      else replaceMember((await import(fault.of))[headOf(fault)], { fault, complain });
    }
  }
  const hooks = registerHooks({
    load: (url, context, load) => ({ ...load(url, context), ...(planned.has(url) && { source: rewritten(url) }) }),
  });
  for (const module of planned.keys()) await import(module);
  hooks.deregister();
  planned.clear();
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
}

/** Called by the modules, which alone can change what they declare. @returns what the name means from now on */
export function replaced(module: string, name: string, original: unknown): unknown {
  let current = original;
  for (const each of planned.get(module) ?? []) {
    if (headOf(each.fault) !== name) continue;
    if (each.fault.symbol === name) current = each.fault.with(current as never);
    else replaceMember(current, each);
  }
  return current;
}

function plan(each: Planned, modules: ReadonlyMap<string, readonly string[]>): void {
  const head = headOf(each.fault);
  const place = each.fault.in;
  const [module, ...others] = (modules.get(head) ?? []).filter((url) => !place || url.endsWith(`/${place}.js`));
  if (module === undefined) each.complain(`no module declares "${head}".`);
  else if (others.length > 0) each.complain(`"${head}" is declared in ${[module, ...others].join(' and ')}.`);
  else planned.set(module, [...(planned.get(module) ?? []), each]);
}

function replaceMember(owner: unknown, { fault, complain }: Planned): void {
  const member = fault.symbol.slice(headOf(fault).length + 1);
  const holder = typeof owner === 'function' ? owner.prototype : undefined;
  const found = Object.getOwnPropertyDescriptor(holder ?? {}, member);
  if (found?.get)
    Object.defineProperty(holder, member, { ...found, get: fault.with(found.get as never) as () => unknown });
  else if (found) Object.defineProperty(holder, member, { ...found, value: fault.with(found.value as never) });
  else complain(`there is no "${fault.symbol}".`);
}

function headOf({ symbol }: Fault): string {
  return symbol.split('.', 1).join('');
}

/** What compiled modules declare at their top level, which begins a line. */
function modulesByName(urls: readonly URL[]): ReadonlyMap<string, readonly string[]> {
  const declaration = /^(?:export )?(?:async )?(?:class|const|function\*?|let) ([\w$]+)/gm;
  const modules = new Map<string, string[]>();
  for (const url of urls) {
    for (const [, name = ''] of readFileSync(url, 'utf8').matchAll(declaration))
      modules.set(name, [...(modules.get(name) ?? []), url.href]);
  }
  return modules;
}

/**
 * The code of a module, with assignments to its own declarations at the end. Whatever imports them sees the new value too;
 * only a constant has to become a variable first.
 */
function rewritten(url: string): string {
  const names = new Set(planned.get(url)?.map(({ fault }) => headOf(fault)));
  let code = readFileSync(new URL(url), 'utf8');
  for (const name of names) code = code.replace(new RegExp(`^(export )?const (?=${name}\\b)`, 'm'), '$1let ');
  const replacements = [...names].map((name) => `${name} = replaced$("${url}", "${name}", ${name});`);
  return `${code}\nimport { replaced as replaced$ } from "${import.meta.url}";\n${replacements.join('\n')}\n`;
}
