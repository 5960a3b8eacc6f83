import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);

describe('The program signalbox in a clone that is not built', function () {
  // The compiler runs.
  this.timeout(120_000);
  let clone: string;

  before(async () => {
    clone = await mkdtemp(join(tmpdir(), 'signalbox-clone-'));
    for (const part of ['bin', 'src', 'package.json', 'tsconfig.base.json'])
      await cp(join(root, part), join(clone, part), { recursive: true });
    await symlink(join(root, 'node_modules'), join(clone, 'node_modules'), 'junction');
  });
  after(() => rm(clone, { recursive: true, force: true }));

  it('builds itself first, and keeps the standard output for the command', async () => {
    const first = await run(process.execPath, [join(clone, 'bin/signalbox.js'), '--version']);
    expect(first.stderr).to.equal('Building Signalbox, once: this takes some seconds.\n');
    const second = await run(process.execPath, [join(clone, 'bin/signalbox.js'), '--version']);
    expect(second).to.deep.equal({ stdout: first.stdout, stderr: '' });
  });

  it('says what to do where the installed package is incomplete', async () => {
    await rm(join(clone, 'dist'), { recursive: true });
    await rm(join(clone, 'src'), { recursive: true });
    const failure = await run(process.execPath, [join(clone, 'bin/signalbox.js'), '--version']).catch(
      (error: unknown) => error,
    );
    expect(failure).to.include({
      code: 1,
      stderr: `${join(clone, 'dist/cli/main.js')} is missing. Install signalbox again.\n`,
    });
  });
});
