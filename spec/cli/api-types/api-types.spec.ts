import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { apiTypes } from '#signalbox/cli/api-types/api-types.js';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { ScratchProject } from '../../support/scratch-project.js';
import { TestTerminal } from '../../support/test-terminal.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const tsconfig = JSON.stringify({
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023'],
    types: [],
  },
  include: ['src'],
});
const header = '// Written by `signalbox api:types`. Do not edit it: run that again.\n\n';

/** TypeScript 6, which reads and parses the declarations of its library once for all runs: these take most of a small one. */
const rememberingCompiler = {
  'node_modules/typescript/package.json': '{ "main": "./index.cjs" }',
  'node_modules/typescript/index.cjs': `
    const ts = require(${JSON.stringify(createRequire(import.meta.url).resolve('typescript-6'))});
    const parsed = new Map();
    function hostOf(options) {
      const host = ts.createCompilerHost(options);
      const read = host.getSourceFile;
      const library = host.getDefaultLibLocation();
      host.getSourceFile = (path, ...rest) => {
        if (!path.startsWith(library)) return read(path, ...rest);
        const key = path + JSON.stringify(options);
        if (!parsed.has(key)) parsed.set(key, read(path, ...rest));
        return parsed.get(key);
      };
      return host;
    }
    const createProgram = (given) => ts.createProgram({ ...given, host: hostOf(given.options) });
    module.exports = { ...ts, createProgram };`,
};

interface Outcome {
  readonly code: number;
  readonly written: string;
  readonly errors: string;
}

async function run(folder: string, ...words: string[]): Promise<Outcome> {
  const terminal = new TestTerminal(folder);
  const code = await runCommandLine([apiTypes], ['api:types', ...words], terminal);
  return { code, written: terminal.written, errors: terminal.errors };
}

describe('signalbox api:types', function () {
  // Each run is one of the compiler.
  this.timeout(60_000);
  let project: ScratchProject;

  before(async () => {
    project = await ScratchProject.create({});
    await project.write(rememberingCompiler);
  });
  beforeEach(() => project.write({ 'tsconfig.json': tsconfig, 'src/other.ts': 'export const other = 1;\n' }));
  after(() => project.remove());

  const written = async (source: string): Promise<string> => {
    await project.write({ 'src/app.ts': source });
    const { code, written: text, errors } = await run(project.folder);
    expect({ code, errors }).to.deep.equal({ code: 0, errors: '' });
    expect(text.startsWith(header)).to.equal(true);
    return text.slice(header.length);
  };

  describe('of an application', () => {
    it('writes the inferred type, without an import', async () => {
      const flat = 'spec/types/elsewhere/api.d.ts';
      const arguments_ = ['--project', 'spec/types/tsconfig.json', '--from', 'spec/types/chat.ts'];
      // That this file is the inferred type in every respect is compiled in spec/types/client/flat.ts.
      expect(await run(root, ...arguments_, '--out', flat, '--check')).to.deep.equal({
        code: 0,
        written: '',
        errors: '',
      });
      expect(await readFile(`${root}/${flat}`, 'utf8')).to.not.match(/\bimport\b/);
    });

    it('writes that of the sample app', async () => {
      const { written: text } = await run(root, '-p', 'sample-app/src/tsconfig.json');
      expect(text).to.contain('readonly createMessage: ActionApi<{ text: string }, ChatCreateMessageReply>;');
      expect(text).to.contain(
        '      /** Follows the rooms of the lobby: every room that this user may see, when it is opened, entered and left. */\n',
      );
      expect(text).to.not.match(/\bimport\b/);
    });

    it('refuses one whose routes are unknown, because it is annotated', async () => {
      const framework = { typescript: 'typescript-6', signalbox: '.', '@types/node': '@types/node' };
      const annotated = await ScratchProject.create(framework);
      const source = `import type { App, AppApi } from 'signalbox';\nexport declare const app: App;\nexport type Api = AppApi<typeof app>;\n`;
      await annotated.write({
        'tsconfig.json': tsconfig,
        'src/app.ts': source,
        'package.json': '{ "type": "module" }',
      });
      const { code, errors } = await run(annotated.folder);
      await annotated.remove();
      expect(errors).to.match(
        /^Api does not say what one route offers: it is .*\. Where it is annotated as App, leave that out, so that its routes are inferred\.\n$/,
      );
      expect(code).to.equal(1);
    });

    it('refuses one of several routes where none is named', async () => {
      await project.write({
        'src/app.ts': `type Route<Name extends string> = { readonly actions: { readonly [N in Name]: { reply: string } } };
          export type Api = Route<'now'> | { readonly rooms: Route<'list'> };`,
      });
      const { code, errors } = await run(project.folder);
      expect(errors).to.match(
        /^Api does not say what one route offers: it is .*\. Where the application has several routes, name the whole path of one: AppApi<typeof app, '\/ws\/'>\./,
      );
      expect(code).to.equal(1);
    });
  });

  describe('of types', () => {
    it('expands every name, and leaves what JSON can hold', async () => {
      const source = `
        enum Role { Admin = 'admin', Guest = 'guest' }
        interface Base { readonly id: number; tags: readonly string[] }
        interface User extends Base { name?: string; role: Role; pair: [first: string, second?: number, ...rest: boolean[]] }
        type Key = string & { readonly brand: 'key' };
        export interface Api {
          user: User | null; key: Key; map: Record<string, (string | number)[]>; flag: boolean; yes: true; nothing: {};
          any: any; unknown: unknown; never: never; lists: readonly (readonly number[])[]; path: \`/\${string}\`;
          'not-a-name': "it's"; both: { a: 1 } & { b: 2 };
        }`;
      expect(await written(source)).to.equal(`export type Api = {
  user:
    | {
        name?: string;
        role: 'admin' | 'guest';
        pair: [string, number?, ...boolean[]];
        readonly id: number;
        tags: readonly string[];
      }
    | null;
  key: string & { readonly brand: 'key' };
  map: { [key: string]: (number | string)[] };
  flag: boolean;
  yes: true;
  nothing: Record<never, never>;
  any: any;
  unknown: unknown;
  never: never;
  lists: readonly (readonly number[])[];
  path: \`/\${string}\`;
  'not-a-name': 'it\\'s';
  both: { a: 1; b: 2 };
};
`);
    });

    it('keeps the comments of properties, and says what is deprecated', async () => {
      const source = `export interface Api {
        /** How many. */ count: number;
        /**
         * Two
         * lines.
         *
         * @param none is not shown
         * @deprecated use count
         */
        old: number;
      }`;
      expect(await written(source)).to.equal(`export type Api = {
  /** How many. */
  count: number;
  /**
   * Two
   * lines.
   * @deprecated use count
   */
  old: number;
};
`);
    });

    it('names an object type that occurs twice, after where it occurs', async () => {
      const source = `interface User { id: number; name: string; email: string }
        interface Small { id: number }
        interface Member<K, R> { readonly kwargs: K; readonly reply: R; readonly part: never }
        interface Users { readonly actions: { list: Member<Small, User[]>; find: Member<Small, User> }; readonly observers: {} }
        interface Log { readonly actions: { who: Member<User, null>; whom: Member<User & { at: string }, null> }; readonly observers: {} }
        export interface Api { users: Users; log: Log; last: User & { at: string } }`;
      expect(await written(source)).to.equal(`export type Api = {
  users: {
    readonly actions: {
      list: ActionApi<{ id: number }, UsersRow[]>;
      find: ActionApi<{ id: number }, UsersRow>;
    };
    readonly observers: Record<never, never>;
  };
  log: {
    readonly actions: { who: ActionApi<UsersRow, null>; whom: ActionApi<LogWhomKwargs, null> };
    readonly observers: Record<never, never>;
  };
  last: LogWhomKwargs;
};

export type UsersRow = {
  id: number;
  name: string;
  email: string;
};

export type LogWhomKwargs = {
  id: number;
  name: string;
  email: string;
  at: string;
};

type ActionApi<Kwargs, Reply, Part = never> = {
  readonly kwargs: Kwargs;
  readonly reply: Reply;
  readonly part: Part;
};
`);
    });

    it('names a type that contains itself', async () => {
      const source = `interface Comment { text: string; replies: Comment[]; author: Author }
        interface Author { favourite: Comment | null }
        export interface Api { thread: Comment; author: Author }`;
      expect(await written(source)).to.equal(`export type Api = {
  thread: Thread;
  author: { favourite: Thread | null };
};

export type Thread = {
  text: string;
  replies: Thread[];
  author: { favourite: Thread | null };
};
`);
    });

    it('writes the same whatever else the project contains', async () => {
      const source = `type Fields = 'id' | 'name' | 'email'; type Row = { [F in Fields]: string };
        export interface Api { row: Row; one: 'red' | 'green' | 'blue' | 7 | null }`;
      const alone = await written(source);
      // Met first, these would turn the order of the checker.
      await project.write({ 'src/a.ts': `export type T = ['email', 'blue', 'name', 'green', 'id', 7, 'red'];\n` });
      expect(await written(source)).to.equal(alone);
      await project.write({ 'src/a.ts': '' });
      expect(alone).to.equal(`export type Api = {
  row: { email: string; id: string; name: string };
  one: 'blue' | 'green' | 'red' | 7 | null;
};
`);
    });
  });

  describe('fails with exit code 1 and a sentence', () => {
    const failure = async (source: string, ...words: string[]): Promise<string> => {
      await project.write({ 'src/app.ts': source });
      const { code, written: text, errors } = await run(project.folder, ...words);
      expect({ code, text }).to.deep.equal({ code: 1, text: '' });
      return errors;
    };

    it('for a type that is no value of JSON, and says where it stands', async () => {
      expect(await failure('export interface Api { rooms: { at: Date } }')).to.match(
        /^Api\.rooms\.at is Date: to\w+ is a function, which JSON cannot show\.\n$/,
      );
      expect(await failure('export interface Api { call: () => void }')).to.equal(
        'Api is Api: call is a function, which JSON cannot show.\n',
      );
      expect(await failure('export interface Api { list: (() => void)[] }')).to.equal(
        'Api.list is () => void, and JSON cannot show a function.\n',
      );
      expect(await failure('export interface Api { count: bigint }')).to.equal(
        'Api.count is bigint, which JSON cannot show.\n',
      );
      expect(await failure('export interface Api { deep: Nest<1> }\ninterface Nest<T> { next: Nest<[T]> }')).to.equal(
        'Api.deep.next.next.next.next.next.next nests without an end. Annotate a type that has one.\n',
      );
    });

    it('for a project that does not compile', async () => {
      expect(await failure(`export interface Api { a: string }\nexport const a: number = '1';`)).to.equal(
        'tsconfig.json does not compile under TypeScript 6.0.3: one error, so its types cannot be trusted.\n' +
          `  src/app.ts:2 TS2322: Type 'string' is not assignable to type 'number'.\n`,
      );
    });

    it('for a type that is not there, or there twice', async () => {
      const api = 'export interface Api { a: string }\n';
      expect(await failure('export const none = 1;')).to.equal('No file of tsconfig.json exports Api.\n');
      expect(await failure(api, '--export', 'Other')).to.equal('No file of tsconfig.json exports Other.\n');
      expect(await failure('export const Api = 1;')).to.equal('Api is a value, not a type.\n');
      expect(await failure(api, '--from', 'src/none.ts')).to.equal('src/none.ts is no file of tsconfig.json.\n');
      expect(await failure(api, '--from', 'src/other.ts')).to.equal('src/other.ts exports no Api.\n');
      await project.write({ 'src/other.ts': api });
      expect(await failure(api)).to.equal('Several files export Api: src/app.ts, src/other.ts. Name one: --from\n');
      expect((await run(project.folder, '--from', 'src/other.ts')).code).to.equal(0);
    });

    it('for a tsconfig.json that is not there, or has no files', async () => {
      expect(await failure('', '-p', 'tsconfig.none.json')).to.match(/^Cannot read file .*tsconfig\.none\.json.*\n$/);
      await project.write({ 'tsconfig.json': '{ "files": [], "references": [{ "path": "src" }] }' });
      expect(await failure('')).to.equal(`tsconfig.json has no files. Name the server's project: --project\n`);
    });

    it('where there is no TypeScript, or only one without the interface', async () => {
      const remedy = ' Install it beside: npm install --save-dev @typescript/typescript6\n';
      const needs =
        'signalbox api:types needs the compiler interface of TypeScript 6, which TypeScript 7 does not have. ';
      const outcomes: string[] = [];
      for (const packages of [{}, { typescript: 'typescript' }]) {
        const bare = await ScratchProject.create(packages);
        await bare.write({ 'tsconfig.json': tsconfig, 'src/app.ts': 'export interface Api { a: string }' });
        const { code, errors } = await run(bare.folder);
        expect(code).to.equal(1);
        outcomes.push(errors);
        await bare.remove();
      }
      expect(outcomes).to.deep.equal([
        `${needs}This project has none.${remedy}`,
        `${needs}This project has TypeScript 7.0.2.${remedy}`,
      ]);
    });
  });

  it('takes a TypeScript 6 that stands beside TypeScript 7', async () => {
    for (const beside of ['@typescript/typescript6', 'typescript-6']) {
      const both = await ScratchProject.create({ typescript: 'typescript', [beside]: 'typescript-6' });
      await both.write({ 'tsconfig.json': tsconfig, 'src/app.ts': 'export interface Api { a: string }' });
      expect((await run(both.folder)).written).to.equal(`${header}export type Api = {\n  a: string;\n};\n`);
      await both.remove();
    }
  });

  it('takes a project as it is built, and writes nothing of its output', async () => {
    const built = { outDir: 'out', composite: true, tsBuildInfoFile: 'out/info', emitDeclarationOnly: true };
    const { compilerOptions, ...rest } = JSON.parse(tsconfig);
    const config = JSON.stringify({ ...rest, compilerOptions: { ...compilerOptions, ...built } });
    await project.write({ 'tsconfig.json': config, 'src/app.ts': 'export interface Api { a: string }' });
    const { code, errors } = await run(project.folder);
    expect({ code, errors }).to.deep.equal({ code: 0, errors: '' });
    expect(await readdir(project.folder)).to.not.include('out');
  });

  describe('with --out', () => {
    const api = 'export interface Api { a: string }\n';

    it('writes the file, with its folders', async () => {
      await project.write({ 'src/app.ts': api });
      const outcome = await run(project.folder, '-o', 'web/types/api.d.ts');
      expect(outcome).to.deep.equal({ code: 0, written: '', errors: 'Wrote web/types/api.d.ts.\n' });
      expect(await project.read('web/types/api.d.ts')).to.equal(`${header}export type Api = {\n  a: string;\n};\n`);
    });

    it('compares it with --check, and writes nothing', async () => {
      await project.write({ 'src/app.ts': api });
      const check = () => run(project.folder, '-o', 'checked.d.ts', '--check');
      expect((await check()).errors).to.equal('checked.d.ts does not exist. Write it: leave --check out.\n');
      await run(project.folder, '-o', 'checked.d.ts');
      expect(await check()).to.deep.equal({ code: 0, written: '', errors: '' });
      const present = await project.read('checked.d.ts');
      await project.write({ 'checked.d.ts': present.replaceAll('\n', '\r\n') });
      expect((await check()).code).to.equal(0);
      await project.write({ 'src/app.ts': 'export interface Api { a: number }\n', 'checked.d.ts': present });
      expect(await check()).to.deep.equal({
        code: 1,
        written: '',
        errors: 'checked.d.ts is out of date: the application has changed. Write it again: leave --check out.\n',
      });
      expect(await project.read('checked.d.ts')).to.equal(present);
    });

    it('is needed by --check', async () => {
      const outcome = await run(project.folder, '--check');
      expect(outcome).to.deep.equal({ code: 2, written: '', errors: '--check compares a file: name it with --out.\n' });
    });
  });
});
