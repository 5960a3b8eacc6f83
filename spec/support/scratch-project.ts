import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A project of a few files outside of the repository, whose packages would be found from inside. */
export class ScratchProject {
  private constructor(readonly folder: string) {}

  /** @param packages name in its node_modules -> which one of this repository's it is; `.` for the repository itself */
  static async create(packages: Readonly<Record<string, string>>): Promise<ScratchProject> {
    const project = new ScratchProject(await realpath(await mkdtemp(join(tmpdir(), 'signalbox-project-'))));
    for (const [name, target] of Object.entries(packages)) {
      const link = join(project.folder, 'node_modules', name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(target === '.' ? root : join(root, 'node_modules', target), link, 'junction');
    }
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
