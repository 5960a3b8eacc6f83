import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect } from 'chai';
import { RunningApp } from './support/running-app.js';
import { TemporaryFolder } from './support/temporary-folder.js';

const TIME_FOR_PROCESSES = 120_000;
const packageFolder = resolve(import.meta.dirname, '../..');

/** The modules of the app that `npm run dev` runs; `quickStart` replaces the rest. */
const developed = ['dev', 'build', 'bundle-pages', 'main', 'print', 'settings', 'http/live-pages'];

/** An app without a database, which builds and starts in a tenth of the time of the chat. */
const quickStart = `
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { livePages } from './http/live-pages.js';
import type { Settings } from './settings.js';

export interface Running { readonly address: string; stop(): Promise<void>; drain(): Promise<void> }

export async function start({ host, port }: Settings): Promise<Running> {
  const server = createServer((request, response) => {
    if (!livePages.answer(request, response)) response.end('A page.');
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const stop = async () => server.closeAllConnections();
  return { address: \`http://localhost:\${(server.address() as AddressInfo).port}\`, stop, drain: stop };
}
`;

/**
 * A copy of the app whose sources a spec may change. It is in dist, where Node and the compiler find the app's packages. It does
 * not contain the specs and the framework.
 */
class AppCopy {
  readonly path = mkdtempSync(join(packageFolder, 'dist/copy-'));

  private constructor(files: readonly string[]) {
    for (const name of [...files, 'package.json', 'tsconfig.base.json']) {
      cpSync(join(packageFolder, name), join(this.path, name), { recursive: true });
    }
    this.write('tsconfig.json', JSON.stringify({ files: [], references: [{ path: 'src' }, { path: 'page' }] }));
    const { references: _, ...config } = JSON.parse(this.read('src/tsconfig.json'));
    this.write('src/tsconfig.json', JSON.stringify(config));
  }

  static ofChat(): AppCopy {
    return new AppCopy(['src', 'page']);
  }

  /** With the chat's own `dev.ts`, `build.ts` and `main.ts`. */
  static ofQuickApp(): AppCopy {
    const sources = [...developed.map((name) => `src/${name}.ts`), 'src/tsconfig.json'];
    const copy = new AppCopy([...sources, 'page/tsconfig.json', 'page/live-pages.ts']);
    copy.write('src/start.ts', quickStart);
    for (const page of ['account', 'lobby', 'room']) copy.write(`page/${page}.ts`, `document.title = '${page}';\n`);
    copy.write('page/lobby.css', 'h1 { color: teal }\n');
    return copy;
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), text);
  }

  /** Saves as `sed -i`, `git checkout` and many editors do: writes another file, and renames it to the first one's name. */
  replace(file: string, text: string, modified = new Date()): void {
    const path = join(this.path, file);
    writeFileSync(`${path}.new`, text);
    utimesSync(`${path}.new`, modified, modified);
    renameSync(`${path}.new`, path);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The event source that the script of an open tab listens to: page/live-pages.ts. */
class OpenTab implements AsyncDisposable {
  private text = '';

  private constructor(private readonly reader: ReadableStreamDefaultReader<Uint8Array>) {}

  static async of(dev: RunningApp): Promise<OpenTab> {
    const [, address = ''] = /.*Open (http:\S+)/s.exec(dev.output) ?? [];
    const { body } = await fetch(`${address}/dev/version`, { signal: AbortSignal.timeout(TIME_FOR_PROCESSES) });
    if (!body) throw new Error('The app sends no versions.');
    return new OpenTab(body.getReader());
  }

  /** The next version that it receives; a tab with another version reloads. */
  async version(): Promise<string> {
    for (;;) {
      const [whole, version] = /data: (\S+)\n\n/.exec(this.text) ?? [];
      if (whole && version) {
        this.text = this.text.slice(this.text.indexOf(whole) + whole.length);
        return version;
      }
      const { value } = await this.reader.read();
      this.text += Buffer.from(value ?? []).toString();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A restart of the app has ended it.
    await this.reader.cancel().catch(() => undefined);
  }
}

/** `main.ts` with another word in the line that the app prints when it listens. */
const mainSaying = (main: string, word: string) => main.replace('`Listening.', `\`${word}.`);

/** One story: the app is started, its sources are changed in several ways, and it is ended. */
describe('npm run dev', function () {
  this.timeout(TIME_FOR_PROCESSES);

  let copy: AppCopy;
  let dev: RunningApp;
  let main: string;
  let versionBefore: string | undefined;

  before(async () => {
    copy = AppCopy.ofQuickApp();
    main = copy.read('src/main.ts');
    dev = new RunningApp({}, { command: ['npm', 'run', 'dev'], folder: copy.path, leadsGroup: true });
    await dev.address();
  });
  after(() => {
    dev?.endGroup();
    copy.remove();
  });

  it('restarts the app when a file is replaced by rename, twice in a row', async () => {
    copy.replace('src/main.ts', mainSaying(main, 'First'));
    await dev.prints(/First\. Open http:/);
    copy.replace('src/main.ts', mainSaying(main, 'Second'));
    await dev.prints(/Second\. Open http:/);
  });

  it('restarts the app when the earlier file is put back with its earlier time', async () => {
    const from = dev.output.length;
    copy.replace('src/main.ts', main, new Date(Date.now() - 3_600_000));
    await dev.prints(/Listening\. Open http:/, from);
  });

  it('restarts the app when a folder is made and used', async () => {
    await using tab = await OpenTab.of(dev);
    versionBefore = await tab.version();
    cpSync(join(copy.path, 'src/print.ts'), join(copy.path, 'src/made/print.ts'));
    copy.replace('src/main.ts', mainSaying(main, 'Third').replace("'./print.js'", "'./made/print.js'"));
    await dev.prints(/Third\. Open http:/);
  });

  it('reloads open tabs when the app has started again, as it has now', async () => {
    await using tab = await OpenTab.of(dev);
    expect(versionBefore).to.be.a('string');
    expect(await tab.version()).to.not.equal(versionBefore);
  });

  it('leaves the last good app running until everything compiles again', async () => {
    const from = dev.output.length;
    copy.write('src/main.ts', `${main}\nconst wrong: number = 'text';\n`);
    await dev.prints(/src\/main\.ts.*error TS2322/, from);
    const [, address = ''] = /.*Open (http:\S+)/s.exec(dev.output) ?? [];
    expect((await fetch(`${address}/log-in`)).status).to.equal(200);
    copy.write('src/main.ts', mainSaying(main, 'Fourth'));
    await dev.prints(/Fourth\. Open http:/, from);
  });

  it('builds a page again, reloads open tabs, and leaves the app running', async () => {
    const from = dev.output.length;
    await using tab = await OpenTab.of(dev);
    const before = await tab.version();
    copy.replace('page/lobby.ts', `${copy.read('page/lobby.ts')}\ndocument.title = 'The built page';\n`);
    await dev.prints(/Built\. Open tabs reload\./, from);
    expect(await tab.version()).to.not.equal(before);
    expect(copy.read('dist/page/lobby.js')).to.include('The built page');
    expect(dev.output.slice(from)).to.not.include('Open http:');
  });

  it('reloads open tabs when a style or the text of a page is saved', async () => {
    const from = dev.output.length;
    await using tab = await OpenTab.of(dev);
    const before = await tab.version();
    copy.write('page/lobby.css', `${copy.read('page/lobby.css')}\n`);
    expect(await tab.version()).to.not.equal(before);
    expect(dev.output.slice(from)).to.not.include('Open http:');
  });

  it('starts an app that has ended by itself when the next file is saved', async () => {
    const from = dev.output.length;
    copy.write('src/main.ts', main.replace('try {', "try {\n  throw new Error('The mistake of a minute');"));
    await dev.prints(/The app has ended\. It starts again when a file is saved\./, from);
    copy.write('src/main.ts', mainSaying(main, 'Fifth'));
    await dev.prints(/Fifth\. Open http:/, from);
  });

  it('ends on Ctrl+C with every process that it started', async () => {
    await dev.interruptGroup();
  });
});

describe('npm run dev, of the chat,', function () {
  this.timeout(TIME_FOR_PROCESSES);

  let copy: AppCopy;
  let data: TemporaryFolder;
  let dev: RunningApp;

  const start = (...command: [string, ...string[]]) =>
    new RunningApp({ DATA_FOLDER: data.path }, { command, folder: copy.path, leadsGroup: true });

  before(async () => {
    copy = AppCopy.ofChat();
    data = new TemporaryFolder();
    dev = start('npm', 'run', 'dev');
    await dev.address();
  });
  after(() => {
    dev?.endGroup();
    data.remove();
    copy.remove();
  });

  it('starts it again on the same database when a file is saved', async () => {
    copy.replace('src/main.ts', mainSaying(copy.read('src/main.ts'), 'Again'));
    await dev.prints(/The database is up to date\nAgain\. Open http:/);
  });

  it('closes the database on Ctrl+C', async () => {
    await dev.interruptGroup();
    expect(readdirSync(data.path)).to.deep.equal(['pglite']);
  });

  it('takes the app with it when it is killed, which closes the database', async () => {
    dev = start(process.execPath, 'dist/src/dev.js');
    await dev.address();
    await dev.stop('SIGKILL');
    expect(readdirSync(data.path)).to.deep.equal(['pglite']);
  });
});
