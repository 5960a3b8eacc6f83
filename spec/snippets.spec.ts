import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as mikroOrm from '@mikro-orm/core';
import { expect } from 'chai';
import * as transformer from 'class-transformer';
import * as validator from 'class-validator';
import * as signalbox from 'signalbox';
import * as tsyringe from 'tsyringe';

const root = new URL('../../', import.meta.url);
const folder = new URL('build/snippets/', root);

/** Followed by specs of their own, which compile them as a reader does. */
const followed = new Set(['docs/quick-start.md', 'docs/tutorial.md']);

/** Blocks that are no code of a reader's: what a command writes, and what is only described. */
const sketches = new Set(['docs/api-types.md 2', 'docs/authentication.md 2']);

interface Snippet {
  /** The page and the number of the block in it. */
  readonly name: string;
  readonly language: string;
  readonly code: string;
  /** Whether it is members of a consumer, without their class. */
  readonly isMembers: boolean;
}

/** Blocks that name a file are pieces of it, which is compiled where it stands. */
async function readSnippets(page: string): Promise<Snippet[]> {
  const markdown = await readFile(new URL(page, root), 'utf8');
  const blocks = [...markdown.matchAll(/^```(tsx?)( [^\n]*)?\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, language = '', info = '', code = ''], at) => {
    const name = `${page} ${at + 1}`;
    if (info.includes('file=') || sketches.has(name)) return [];
    return [{ name, language, code, isMembers: info.includes('members') }];
  });
}

/** A reader writes the imports; a page leaves out those that its text has named. */
type Names = ReadonlyMap<string, string>;

async function knownNames(isClient: boolean): Promise<Names> {
  const names = new Map<string, string>();
  const add = (from: string, exported: Iterable<string>): void => {
    for (const name of exported) if (name !== 'default' && !names.has(name)) names.set(name, from);
  };
  add('./application.js', exportedBy(await readFile(new URL('spec/snippets/application.ts', root), 'utf8')));
  const modules = ['client', 'react', 'testing', 'explorer'];
  const first = isClient ? [...modules, ''] : ['', ...modules];
  for (const name of first) {
    const declarations = await readFile(new URL(`dist/${name && `${name}/`}index.d.ts`, root), 'utf8');
    add(name ? `signalbox/${name}` : 'signalbox', exportedBy(declarations));
  }
  add('signalbox', Object.keys(signalbox));
  add('tsyringe', Object.keys(tsyringe));
  add('class-validator', Object.keys(validator));
  add('class-transformer', Object.keys(transformer));
  add('@mikro-orm/core', Object.keys(mikroOrm));
  add('chai', ['expect']);
  add('node:http', ['createServer']);
  return names;
}

function exportedBy(text: string): string[] {
  const lists = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = '']) => list.split(','));
  const declared = text.matchAll(/^export (?:declare )?(?:abstract )?(?:class|function|interface|type|const) (\w+)/gm);
  return [
    ...lists.map((name) =>
      name
        .trim()
        .replace(/^type /, '')
        .replace(/^.* as /, ''),
    ),
    ...Array.from(declared, ([, name = '']) => name),
  ].filter(Boolean);
}

/** As a module of its own. Dots stand for what a reader would write there. */
function moduleOf({ code, isMembers }: Snippet, names: Names): string {
  const written = code
    .replaceAll('{ … }', '{}')
    .replaceAll('{ …, ', '{ ')
    .replaceAll('=> …', '=> undefined')
    .replace(/\) …$/gm, ') {}');
  const plain = written
    .replace(/'[^'\n]*'/g, "''")
    .replace(/`[^`$\n]*`/g, "''")
    .replace(/(?<!:)\/\/.*$/gm, '');
  const own = new Set(
    [
      ...plain.matchAll(/(?:class|function|interface|type|const|let) (\w+)/g),
      ...plain.matchAll(/(?:const|let) \{ ?([\w, ]+) ?\}/g),
      ...plain.matchAll(/import (?:type )?(?:(\w+)|\{([^}]*)\})/g),
    ].flatMap(([, one, list]) =>
      `${one ?? ''},${list ?? ''}`.split(',').map((name) => name.trim().replace(/^type /, '')),
    ),
  );
  const used = new Set(plain.match(/(?<![.\w'"])[A-Za-z]\w*/g) ?? []);
  if (isMembers) used.add('Fragment');
  const imports = [...used]
    .filter((name) => names.has(name) && !own.has(name))
    .map((name) => `import { ${name} } from '${names.get(name)}';\n`)
    .concat(
      ['express', 'fastify']
        .filter((name) => used.has(name) && !own.has(name))
        .map((name) => `import ${name} from '${name}';\n`),
    );
  const body = isMembers ? `abstract class Written extends Fragment {\n${written}}\nvoid Written;\n` : written;
  return `import 'reflect-metadata';\n${imports.join('')}${body}\nexport {};\n`;
}

describe('The TypeScript of the documentation', function () {
  this.timeout(120_000);

  it('compiles, each block for itself', async () => {
    const docs = await readdir(new URL('docs/', root), { recursive: true });
    const pages = docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name.replaceAll('\\', '/')}`);
    const snippets = (await Promise.all(pages.filter((page) => !followed.has(page)).map(readSnippets))).flat();
    expect(snippets.length).to.be.above(45);

    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await writeFile(
      new URL('application.ts', folder),
      await readFile(new URL('spec/snippets/application.ts', root), 'utf8'),
    );
    for (const name of ['api.ts', 'app.ts']) {
      await writeFile(new URL(name, folder), "export type { Api } from './application.js';\n");
    }
    const [server, client] = [await knownNames(false), await knownNames(true)];
    for (const snippet of snippets) {
      const isClient = /client|react|vite/.test(snippet.name);
      const file = `${snippet.name.replace(/\W+/g, '-')}.${snippet.language}`;
      const text = moduleOf(snippet, isClient ? client : server)
        .replace("'chat-server/api'", "'./api.js'")
        .replace("'../../server/src/app.js'", "'./app.js'");
      await writeFile(new URL(file, folder), text);
    }
    const compilerOptions = {
      composite: false,
      noEmit: true,
      verbatimModuleSyntax: false,
      isolatedModules: false,
      noImplicitOverride: false,
      jsx: 'react-jsx',
      lib: ['es2025', 'esnext.disposable', 'dom', 'dom.iterable'],
      types: ['node', 'mocha'],
    };
    await writeFile(
      new URL('tsconfig.json', folder),
      JSON.stringify({ extends: '../../tsconfig.base.json', compilerOptions }),
    );
    const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
    const errors = await promisify(execFile)(process.execPath, [compiler, '-p', fileURLToPath(folder)]).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    );
    expect(errors).to.equal('');
  });
});
