import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A project of a few files outside of the repository, whose packages would be found from inside. */
export class ScratchProject {
  private constructor(readonly folder: string) {}

  /** @param packages name in its node_modules -> which one of this repository's it is; `.` for the repository itself */
  static async create(packages: Readonly<Record<string, string>>): Promise<ScratchProject> {
    const project = new ScratchProject(await realpath(await mkdtemp(join(tmpdir(), 'signalbox-project-'))));
    await linkPackages(project.folder, packages);
    return project;
  }

  /** @param files path -> text */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(this.folder, path)), { recursive: true });
      await writeFile(join(this.folder, path), text);
    }
  }

  read(path: string): Promise<string> {
    return readFile(join(this.folder, path), 'utf8');
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** Puts installed packages of this repository into the node_modules of a folder, as `ScratchProject.create` says. */
export async function linkPackages(folder: string, packages: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, target] of Object.entries(packages)) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(target === '.' ? root : join(root, 'node_modules', target), link, 'junction');
  }
}

/** Makes the programs of linked packages known to `npm run` in this folder, as `npm install` does. */
export async function linkPrograms(folder: string, packages: Iterable<string>): Promise<void> {
  const programs = join(folder, 'node_modules/.bin');
  await mkdir(programs, { recursive: true });
  for (const name of packages) {
    const installed = join(folder, 'node_modules', name);
    const { bin = {} } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    const named: Record<string, string> = typeof bin === 'string' ? { [name]: bin } : bin;
    for (const [program, path] of Object.entries(named)) {
      const file = relative(programs, join(installed, path));
      if (process.platform !== 'win32') await symlink(file, join(programs, program));
      else await writeFile(join(programs, `${program}.cmd`), `@node "%~dp0${file}" %*\r\n`);
    }
  }
}
