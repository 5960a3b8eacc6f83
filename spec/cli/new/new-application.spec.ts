import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { newApplication } from '#signalbox/cli/new/new-application.js';
import { routes } from '#signalbox/cli/routes.js';
import { readersShell } from '../../support/readers-project.js';
import { TestTerminal } from '../../support/test-terminal.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

describe('signalbox new', () => {
  let folder: string;
  let terminal: TestTerminal;

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'signalbox-new-')));
    terminal = new TestTerminal(folder, npm());
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const run = (...words: string[]) => runCommandLine([newApplication], ['new', ...words], terminal);
  const create = async (...words: string[]) => {
    expect(await run('my-app', '--no-install', '--no-git', ...words), terminal.errors).to.equal(0);
  };
  const read = (path: string) => readFile(join(folder, 'my-app', path), 'utf8');

  describe('with the template minimal', () => {
    it('writes these files, says what it does, and prints what comes next', async () => {
      await create();
      expect(await filesIn(join(folder, 'my-app'))).to.deep.equal([
        '.dockerignore',
        '.env',
        '.env.example',
        '.gitignore',
        '.mocharc.json',
        'Dockerfile',
        'README.md',
        'package.json',
        'page/dom.ts',
        'page/index.html',
        'page/live-pages.ts',
        'page/main.ts',
        'page/style.css',
        'page/tsconfig.json',
        'spec/support/database.ts',
        'spec/support/environment.ts',
        'spec/tasks/task-consumer.spec.ts',
        'spec/tsconfig.json',
        'src/app.ts',
        'src/build.ts',
        'src/database/folder-lock.ts',
        'src/database/open-database.ts',
        'src/database/process-identity.ts',
        'src/dev.ts',
        'src/entities/entities.ts',
        'src/entities/task.ts',
        'src/http/http-server.ts',
        'src/http/live-pages.ts',
        'src/main.ts',
        'src/migrations/create-tasks.ts',
        'src/migrations/migrations.ts',
        'src/print.ts',
        'src/settings.ts',
        'src/start.ts',
        'src/tasks/task-consumer.ts',
        'src/tasks/task-serializer.ts',
        'src/tsconfig.json',
        'tsconfig.base.json',
        'tsconfig.json',
      ]);
      expect(terminal.errors).to.match(
        /^Creating my-app from the template minimal, with pglite\.\nCopied 39 files\.\nDone in \d+\.\d s\.\n$/,
      );
      expect(terminal.written).to.equal('\nNext:\n\n  cd my-app\n  npm install --no-audit --no-fund\n  npm run dev\n');
    });

    it('compiles, passes its specs, and offers what docs/cli.md shows', async function () {
      this.timeout(120_000);
      await create();
      await symlink(join(root, 'node_modules'), join(folder, 'my-app/node_modules'), 'junction');
      const { stdout } = await promisify(execFile)('npm', ['test'], {
        cwd: join(folder, 'my-app'),
        env: readersShell(),
      });
      expect(stdout).to.match(/\n {2}3 passing/);

      const looking = new TestTerminal(join(folder, 'my-app'));
      expect(await runCommandLine([routes], ['routes'], looking), looking.errors).to.equal(0);
      const page = await readFile(join(root, 'docs/cli.md'), 'utf8');
      expect(page).to.contain(`## routes\n\n\`\`\`\n${looking.written}\`\`\`\n`);
    });
  });

  describe('with the template chat', () => {
    beforeEach(() => create('--template', 'chat'));

    it('is the sample app under the name of the application, without what is of the repository alone', async () => {
      const files = await filesIn(join(folder, 'my-app'));
      const own = ['.env', '.gitignore', 'Dockerfile'];
      const sample = (await filesIn(join(root, 'sample-app'))).filter(
        (path) =>
          !/^(dist|data|node_modules|(src|spec)\/cluster)\/|^spec\/(cluster|silent-sockets)\.spec\.ts$/.test(path),
      );
      expect(files).to.deep.equal([...new Set([...sample, ...own])].sort());
      const texts = await Promise.all(files.map(read));
      expect(texts.filter((text) => /signalbox-chat|Signalbox Chat/.test(text))).to.deep.equal([]);
      expect(await read('page/lobby.html')).to.contain('<title>Rooms · My App</title>');
    });

    it('has specs that leave nothing which keeps their process', async () => {
      const probe = join(folder, 'probe.mjs');
      // What runs out within 5 s is waited for: PGlite keeps a process for 10 s.
      await writeFile(
        probe,
        `const left = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
        export const mochaGlobalTeardown = async () => {
          for (let tries = 0; tries < 50 && left().length > 0; tries += 1) await new Promise((done) => setTimeout(done, 100));
          console.log('left: ' + left());
        };`,
      );
      const required = ['reflect-metadata', './dist/spec/support/environment.js', probe].flatMap((file) => [
        '--require',
        file,
      ]);
      const mocha = join(root, 'node_modules/mocha/bin/mocha.js');
      const words = [mocha, '--no-config', ...required, '--timeout', '60000', 'dist/spec/database/migrations.spec.js'];
      const { stdout } = await promisify(execFile)(process.execPath, words, {
        cwd: join(root, 'sample-app'),
        env: { ...readersShell(), FORCE_COLOR: '0' },
      });
      expect(stdout)
        .to.match(/ {2}6 passing/)
        .and.match(/^left: $/m);
    }).timeout(120_000);

    it('names nothing outside of its folder', async () => {
      const files = (await filesIn(join(folder, 'my-app'))).filter((file) => /\.(ts|json|html|css)$/.test(file));
      const outside = await Promise.all(files.map(async (file) => pathsOutside(file, await read(file))));
      expect(outside.flat()).to.deep.equal([]);
    });
  });

  it('pins every package exactly, MikroORM to one version, and Signalbox to its own', async () => {
    for (const template of ['minimal', 'chat']) {
      await rm(join(folder, 'my-app'), { recursive: true, force: true });
      await create('--template', template);
      const { name, dependencies, devDependencies } = JSON.parse(await read('package.json'));
      const all: Record<string, string> = { ...dependencies, ...devDependencies };
      expect(name).to.equal('my-app');
      expect(all['signalbox']).to.equal(version);
      for (const [dependency, wanted] of Object.entries(all)) expect(wanted, dependency).to.match(/^\d+\.\d+\.\d+$/);
      const ofOrm = Object.keys(all).filter((dependency) => dependency.startsWith('@mikro-orm/'));
      expect(new Set(ofOrm.map((dependency) => all[dependency]))).to.deep.equal(new Set(['7.2.1']));
    }
  });

  it('uses a PostgreSQL server where it is asked to', async () => {
    await create('--database', 'postgresql');
    const { dependencies, devDependencies } = JSON.parse(await read('package.json'));
    const ofEmbeddedDatabase = { '@mikro-orm/pglite': '7.2.1', '@electric-sql/pglite-prepopulatedfs': '0.5.8' };
    expect(dependencies).to.not.have.any.keys(ofEmbeddedDatabase);
    expect(devDependencies).to.include(ofEmbeddedDatabase);
    expect(await read('.env')).to.contain('\nDATABASE_URL=postgresql://postgres:postgres@localhost:5432/my_app\n');
    expect(await read('compose.yaml')).to.contain('POSTGRES_DB: my_app\n');
    expect(terminal.written).to.contain('\n  docker compose up -d    # or name your server in .env\n  npm run dev\n');
  });

  it('asks for what no option says, until the answer is one of the choices', async () => {
    terminal = new TestTerminal(folder, npm(), ['', 'chess', 'chat', '']);
    expect(await run('--no-install', '--no-git')).to.equal(0);
    expect(terminal.errors).to.contain(`Name of the application (my-app): Template:
  minimal     a list of tasks, live in every tab: one entity, one consumer, one page
  chat        the sample app: accounts, rooms, private rooms, and who is inside
Template (minimal): "chess" is none of minimal, chat.
Template (minimal): Database:
  pglite      PostgreSQL inside the process: nothing to install
  postgresql  a PostgreSQL server, named by DATABASE_URL
Database (pglite): Creating my-app from the template chat, with pglite.
`);
  });

  it('asks nothing with --yes, and needs a name then', async () => {
    terminal = new TestTerminal(folder, npm(), []);
    expect(await run('my-app', '--yes', '--no-install', '--no-git')).to.equal(0);
    expect(await run('--yes')).to.equal(2);
    expect(terminal.errors).to.contain('Name the folder: signalbox new my-app\n');
  });

  describe('with another package manager', () => {
    const agents: ReadonlyArray<readonly [agent: string, next: string, image: string]> = [
      ['pnpm/10.1.0 npm/? node/v24.0.0 linux x64', '  pnpm install\n  pnpm dev\n', 'pnpm install --frozen-lockfile'],
      [
        'yarn/4.9.1 npm/? node/v24.0.0 linux x64',
        '  yarn install\n  yarn dev\n',
        'COPY package.json yarn.lock .yarnrc.yml ./',
      ],
      ['bun/1.3.0 npm/? node/v24.0.0 linux x64', '  bun install\n  bun run dev\n', 'bun install --frozen-lockfile'],
      ['npm/11.19.1 node/v24.0.0 linux x64', '  npm install --no-audit --no-fund\n  npm run dev\n', 'RUN npm ci\n'],
    ];
    for (const [agent, next, image] of agents) {
      it(`knows ${agent.split('/')[0]} by how it was called`, async () => {
        terminal = new TestTerminal(folder, { npm_config_user_agent: agent });
        await create();
        expect(terminal.written).to.equal(`\nNext:\n\n  cd my-app\n${next}`);
        expect(await read('Dockerfile')).to.contain(image);
      });
    }

    it('takes the one that is named', async () => {
      await create('--package-manager', 'pnpm');
      expect(terminal.written).to.contain('pnpm dev');
    });
  });

  describe('makes a git repository', () => {
    it('of the folder', async () => {
      expect(await run('my-app', '--no-install')).to.equal(0);
      expect(terminal.errors).to.contain('Initialised a git repository.\n');
      expect(await read('.git/HEAD')).to.equal('ref: refs/heads/main\n');
      expect(await read('.gitignore')).to.equal('node_modules/\ndist/\ndata/\n.env\n');
    });

    it('but not inside of another one', async () => {
      await promisify(execFile)('git', ['init', '--quiet', folder]);
      expect(await run('my-app', '--no-install')).to.equal(0);
      expect(terminal.errors).to.contain('The folder already belongs to a git repository.\n');
      expect(await readdir(join(folder, 'my-app'))).to.not.include('.git');
    });

    it('and does without where there is no git', async () => {
      terminal = new TestTerminal(folder, { PATH: folder });
      expect(await run('my-app', '--no-install')).to.equal(0);
      expect(terminal.errors).to.contain('git is not installed, so no repository was made.\n');
    });
  });

  describe('that fails', () => {
    it('while installing keeps the files, names what to repeat, and ends with 1', async () => {
      await mkdir(join(folder, 'bin'));
      await writeFile(join(folder, 'bin/npm'), '#!/bin/sh\necho "the network is down" >&2\nexit 7\n');
      await chmod(join(folder, 'bin/npm'), 0o755);
      terminal = new TestTerminal(folder, { PATH: `${join(folder, 'bin')}:/usr/bin:/bin` });
      expect(await run('my-app', '--no-git')).to.equal(1);
      expect(terminal.errors).to.match(/Installing packages: npm install --no-audit --no-fund\nthe network is down\n/);
      expect(terminal.errors).to.match(
        /\nThe files are there, but npm ended with 7\. Repeat what failed:\n\n {2}cd my-app\n {2}npm install --no-audit --no-fund\n$/,
      );
      expect(terminal.written).to.equal('');
      expect(await read('package.json')).to.contain('"my-app"');
    });

    it('because the package manager is not there says so', async () => {
      terminal = new TestTerminal(folder, { PATH: folder });
      expect(await run('my-app', '--no-git', '--package-manager', 'bun')).to.equal(1);
      expect(terminal.errors).to.contain(
        'The files are there, but there is no bun. Repeat what failed:\n\n  cd my-app\n  bun install\n',
      );
    });
  });

  describe('refuses', () => {
    it('a folder that is not empty', async () => {
      await mkdir(join(folder, 'my-app'));
      for (const name of ['a.txt', 'b.txt', 'c.txt', 'd.txt']) await writeFile(join(folder, 'my-app', name), '');
      expect(await run('my-app', '--yes')).to.equal(1);
      expect(terminal.errors).to.equal(
        'The folder my-app is not empty: it has a.txt, b.txt, c.txt and 1 more. Nothing was written; name another folder.\n',
      );
      expect(await filesIn(join(folder, 'my-app'))).to.deep.equal(['a.txt', 'b.txt', 'c.txt', 'd.txt']);
    });

    it('a file', async () => {
      await writeFile(join(folder, 'my-app'), '');
      expect(await run('my-app', '--yes')).to.equal(1);
      expect(terminal.errors).to.equal('my-app is a file. Name a folder that does not exist yet.\n');
    });

    for (const name of ['My App', 'MyApp', '.hidden', '_app', 'app?', 'äpp']) {
      it(`the name ${name}`, async () => {
        expect(await run(name, '--yes')).to.equal(2);
        expect(terminal.errors).to.equal(
          `"${name}" cannot be the name of a package. Use lower-case letters, digits, ".", "_" and "-", beginning with a letter or a digit: my-app\n`,
        );
        expect(await filesIn(folder)).to.deep.equal([]);
      });
    }

    it('a template, a database and a package manager that there are not', async () => {
      expect(await run('my-app', '--template', 'chess')).to.equal(2);
      expect(await run('my-app', '--database', 'mysql')).to.equal(2);
      expect(await run('my-app', '--package-manager', 'cargo')).to.equal(2);
      expect(terminal.errors).to.contain("argument 'chess' is invalid. Allowed choices are minimal, chat.\n");
      expect(terminal.errors).to.contain("argument 'mysql' is invalid. Allowed choices are pglite, postgresql.\n");
      expect(terminal.errors).to.contain("argument 'cargo' is invalid. Allowed choices are npm, pnpm, yarn, bun.\n");
    });
  });
});

/** As npm runs it, whatever runs the specs. */
function npm(): NodeJS.ProcessEnv {
  return { ...process.env, npm_config_user_agent: 'npm/11.19.1 node/v24.0.0 linux x64' };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** What a file names by a relative path that leads out of the folder. */
function pathsOutside(file: string, text: string): string[] {
  const named = [...text.matchAll(/['"](\.\.?\/[^'"]*\w[^'"]*)['"]/g)].map(([, name = '']) => name);
  return named
    .filter((name) => relative('/', resolve('/app', dirname(file), name)).split('/')[0] !== 'app')
    .map((name) => `${file} names ${name}`);
}
