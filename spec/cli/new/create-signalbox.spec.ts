import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const creator = join(root, 'create-signalbox');

describe('create-signalbox', () => {
  it('has the version of Signalbox, and depends on exactly that', async () => {
    const { version, engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    expect(JSON.parse(await readFile(join(creator, 'package.json'), 'utf8'))).to.deep.include({
      version,
      engines,
      dependencies: { signalbox: version },
    });
  });

  it('is `signalbox new`', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'signalbox-create-'));
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules/signalbox'), 'junction');
    const program = join(folder, 'node_modules/create-signalbox.mjs');
    await promisify(execFile)('cp', [join(creator, 'create-signalbox.js'), program]);
    const words = ['my-app', '--yes', '--no-install', '--no-git'];
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...words], { cwd: folder });
    await rm(folder, { recursive: true, force: true });
    expect(stdout).to.contain('\n  cd my-app\n');
  });
});
