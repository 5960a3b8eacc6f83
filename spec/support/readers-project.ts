import { type ChildProcess, exec, spawn } from 'node:child_process';
import { once } from 'node:events';
import { glob, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { within } from './deadline.js';
import { lastingPort } from './ports.js';
import { linkPackages, linkPrograms } from './scratch-project.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** In milliseconds. PGlite takes seconds of a processor, and the suite may have little of it. */
const TIME_TO_START = 120_000;

/** Where `npm run build` of the quick start writes to. */
const BUILT = ['dist/**/*.{js,map}', 'public/*.js'];

/** What a page of the docs tells its reader to do. */
export interface Instructions {
  /** Of all its blocks, one a line. */
  readonly commands: readonly string[];
  /** path -> text, of the blocks below a line that names the path */
  readonly files: Readonly<Record<string, string>>;
}

export async function readInstructions(page: string): Promise<Instructions> {
  const markdown = await readFile(join(root, page), 'utf8');
  const blocks = [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)];
  const files = [...markdown.matchAll(/^`(\S+)`:\n\n```\w+\n([\s\S]*?)^```$/gm)];
  return {
    commands: blocks.flatMap(([, commands = '']) => commands.trim().split('\n')),
    files: Object.fromEntries(files.map(([, path = '', text = '']) => [path, text])),
  };
}

/** One block of a page that a reader follows from its first to its last. */
export type Step =
  | { readonly kind: 'commands'; readonly commands: readonly string[] }
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'output'; readonly text: string };

/** The blocks of a page in their order: `sh` is run, what stands below the name of a file is written, `text` is what is printed. */
export async function readSteps(page: string): Promise<readonly Step[]> {
  const markdown = await readFile(join(root, page), 'utf8');
  const blocks = markdown.matchAll(/(?:^`(\S+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm);
  return [...blocks].flatMap(([, path, language, text = '']): Step[] => {
    if (path) return [{ kind: 'file', path, text }];
    if (language === 'sh') return [{ kind: 'commands', commands: text.trim().split('\n') }];
    return language === 'text' ? [{ kind: 'output', text }] : [];
  });
}

let packed: Promise<string> | undefined;

/** Packs what would be published, once for all specs. @returns the path of the tarball */
export function packSignalbox(): Promise<string> {
  packed ??= pack();
  return packed;
}

/** Among what is built: a worker has no end at which it could be removed, and the next run of its number replaces it. */
async function pack(): Promise<string> {
  const folder = join(root, 'build', `package-${process.env['MOCHA_WORKER_ID'] ?? 'alone'}`);
  await mkdir(folder, { recursive: true });
  const name = await run(`npm pack --silent --ignore-scripts --pack-destination "${folder}"`, root);
  return join(folder, name.trim());
}

/** The project that a reader of a page has. */
export class ReadersProject {
  #folder: string;
  #server: ChildProcess | undefined;

  private constructor(private readonly scratch: string) {
    this.#folder = scratch;
  }

  /**
   * Runs the commands before the build, and writes the files.
   *
   * @param tarball what is installed in the place of the published Signalbox
   * @param typescript the compiler of this repository that is linked into the project, with all else that the commands install.
   *   Where it is undefined, `npm install` runs as it is printed.
   */
  static async create(
    { commands, files }: Instructions,
    tarball: string,
    typescript: string | undefined,
  ): Promise<ReadersProject> {
    const project = new ReadersProject(await realpath(await mkdtemp(join(tmpdir(), 'signalbox-reader-'))));
    for (const command of commands.slice(0, commands.indexOf('npm run build'))) {
      if (command.startsWith('cd ')) project.#folder = join(project.#folder, command.slice('cd '.length));
      else if (!command.startsWith('npm install ')) await project.run(command);
      else if (typescript === undefined) await project.run(command.replace(' signalbox ', ` "${tarball}" `));
      else await project.#link(command, tarball, typescript);
    }
    await project.write(files);
    return project;
  }

  /** An application that the packed `signalbox new` makes, with the packages of this repository in the place of installed ones. */
  static async generate(command: string, tarball: string): Promise<ReadersProject> {
    const scratch = await realpath(await mkdtemp(join(tmpdir(), 'signalbox-reader-')));
    const project = new ReadersProject(scratch);
    const creator = join(scratch, 'creator');
    await unpack(tarball, join(creator, 'node_modules/signalbox'));
    await linkPackages(creator, { commander: 'commander', ws: 'ws', '@standard-schema/spec': '@standard-schema/spec' });
    await project.run(command.replace('npx signalbox', `node "${creator}/node_modules/signalbox/bin/signalbox.js"`));
    return project;
  }

  /** Enters a folder, and puts there what `npm install` would. */
  async enter(name: string, tarball: string): Promise<void> {
    this.#folder = join(this.#folder, name);
    const { dependencies, devDependencies } = JSON.parse(await readFile(join(this.#folder, 'package.json'), 'utf8'));
    const words = Object.keys({ ...dependencies, ...devDependencies });
    await this.#link(`npm install ${words.join(' ')}`, tarball, 'typescript');
  }

  /** @throws Error with everything that the command printed, where it fails */
  run(command: string): Promise<string> {
    return run(command, this.#folder);
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) await writeFile(join(this.#folder, path), text);
  }

  /** @param typescript the compiler of this repository that takes the place of the one that is linked */
  async useCompiler(typescript: string): Promise<void> {
    await rm(join(this.#folder, 'node_modules/typescript'));
    await linkPackages(this.#folder, { typescript });
  }

  /** path -> text, of what `npm run build` has written */
  async readBuilt(): Promise<Record<string, string>> {
    const built: Record<string, string> = {};
    for await (const path of glob(BUILT, { cwd: this.#folder })) {
      built[path] = await readFile(join(this.#folder, path), 'utf8');
    }
    return built;
  }

  async removeBuilt(): Promise<void> {
    for (const path of Object.keys(await this.readBuilt())) await rm(join(this.#folder, path));
  }

  /** Runs the program of `npm start`, without npm between so that it can be ended. Resolves with the address that it prints. */
  async start(): Promise<string> {
    const { scripts } = JSON.parse(await readFile(join(this.#folder, 'package.json'), 'utf8'));
    const [program, ...words]: string[] = scripts.start.split(' && ').at(-1).split(' ');
    if (program !== 'node') throw new Error(`The start script is ${scripts.start}`);
    const env = { ...readersShell(), PORT: String(await lastingPort()) };
    this.#server = spawn(process.execPath, words, { cwd: this.#folder, env });
    return within(addressOf(this.#server), 'The start of the server', TIME_TO_START);
  }

  async remove(): Promise<void> {
    if (this.#server && this.#server.exitCode === null) {
      this.#server.kill('SIGKILL');
      await once(this.#server, 'close');
    }
    await rm(this.scratch, { recursive: true, force: true });
  }

  /** Does what `npm install` does, without a registry. What no command names is not there, but for what Signalbox itself depends on. */
  async #link(command: string, tarball: string, typescript: string): Promise<void> {
    const named = command
      .split(' ')
      .slice(2)
      .filter((word) => !word.startsWith('-'));
    const names = named.map((word) => word.replace(/(?<=.)@.*/, '')).filter((name) => name !== 'signalbox');
    if (names.length < named.length) {
      const unpacked = join(this.#folder, 'node_modules/signalbox');
      await unpack(tarball, unpacked);
      const { dependencies } = JSON.parse(await readFile(join(unpacked, 'package.json'), 'utf8'));
      names.push(...Object.keys(dependencies));
    }
    const targets = names.map((name) => [name, name === 'typescript' ? typescript : name]);
    await linkPackages(this.#folder, Object.fromEntries(targets));
    await linkPrograms(this.#folder, names);
  }
}

async function unpack(tarball: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await run(`tar -xzf "${tarball}" --strip-components=1 -C "${folder}"`, folder);
}

async function run(command: string, folder: string): Promise<string> {
  const { stdout } = await promisify(exec)(command, { cwd: folder, env: readersShell() }).catch(
    ({ stdout, stderr }) => {
      throw new Error(`${command} failed:\n${stdout}${stderr}`);
    },
  );
  return stdout;
}

/** What the first line says that names an address; rejects with what was printed, where the process ends before. */
function addressOf(server: ChildProcess): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        printed += chunk;
        const [address] = /http:\/\/localhost:\d+/.exec(printed) ?? [];
        if (address) resolve(address);
      });
    }
    server.once('close', () => reject(new Error(`The server has ended:\n${printed}`)));
  });
}

/**
 * What the reader's shell has: nothing that npm and mocha tell the scripts and workers of this repository, and none of its programs but Node.
 * The specs of a template that took themselves for a worker's would not close their database.
 */
export function readersShell(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(path$|mocha_worker_id$|npm_(?!config_(registry|cache|userconfig)$))/i.test(name),
  );
  const programs = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith('.bin'));
  return { ...Object.fromEntries(own), PATH: [dirname(process.execPath), ...programs].join(delimiter) };
}
