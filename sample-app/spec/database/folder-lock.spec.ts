import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { FolderLock } from '../../src/database/folder-lock.js';
import { identifyProcess } from '../../src/database/process-identity.js';
import { StartError } from '../../src/settings.js';
import { TemporaryFolder } from '../support/temporary-folder.js';

describe('FolderLock', () => {
  let folder: TemporaryFolder;
  const lockFile = () => join(folder.path, 'lock');

  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder.remove());

  it('makes the folder, and leaves nothing in it when it is released', () => {
    const inner = join(folder.path, 'a', 'b');
    FolderLock.acquire(inner).release();
    expect(readdirSync(inner)).to.be.empty;
  });

  it('is refused in one sentence while a process holds it', () => {
    const lock = FolderLock.acquire(folder.path);
    expect(() => FolderLock.acquire(folder.path)).to.throw(
      StartError,
      `The folder ${folder.path} is in use by process ${process.pid}: stop that one first`,
    );
    lock.release();
    FolderLock.acquire(folder.path).release();
  });

  it('is taken over from a process that was killed', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const { pid = 0 } = child;
    writeFileSync(lockFile(), JSON.stringify(identifyProcess(pid)));
    expect(() => FolderLock.acquire(folder.path)).to.throw(StartError, `process ${pid}`);

    child.kill('SIGKILL');
    await once(child, 'exit');
    FolderLock.acquire(folder.path).release();
    expect(readdirSync(folder.path)).to.be.empty;
  });

  it('is taken over when another process has the pid of the dead one by now', function () {
    if (!existsSync('/proc/self/stat')) this.skip();
    writeFileSync(lockFile(), JSON.stringify({ pid: process.pid, startedAt: 'another-boot/1' }));
    FolderLock.acquire(folder.path).release();
  });

  it('is refused where the start of its owner is not known and the pid is alive', () => {
    writeFileSync(lockFile(), JSON.stringify({ pid: process.pid, startedAt: null }));
    expect(() => FolderLock.acquire(folder.path)).to.throw(StartError);
  });

  it('does not wait for a process that died between the creation of the file and its content', () => {
    writeFileSync(lockFile(), '');
    expect(() => FolderLock.acquire(folder.path)).to.throw(StartError, 'just starting');
    utimesSync(lockFile(), 0, 0);
    FolderLock.acquire(folder.path).release();
  });

  it('is taken over although a process died while it took it over', () => {
    const dead = JSON.stringify({ pid: 2 ** 22 + 1, startedAt: 'another-boot/1' });
    writeFileSync(lockFile(), dead);
    writeFileSync(`${lockFile()}.takeover`, dead);
    FolderLock.acquire(folder.path).release();
    expect(readdirSync(folder.path)).to.be.empty;
  });

  it('goes to one of several processes that start at once', async () => {
    writeFileSync(lockFile(), JSON.stringify({ pid: 2 ** 22 + 1, startedAt: 'another-boot/1' }));
    const module = new URL('../../src/database/folder-lock.js', import.meta.url).href;
    const script = `import { FolderLock } from ${JSON.stringify(module)};
      try { FolderLock.acquire(${JSON.stringify(folder.path)}); process.stdout.write('held'); setInterval(() => {}, 1000); }
      catch { process.stdout.write('refused'); }`;
    const children = Array.from({ length: 6 }, () => spawn(process.execPath, ['--input-type=module', '-e', script]));
    const outcomes = await Promise.all(children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0])));
    for (const child of children) child.kill('SIGKILL');
    expect(outcomes.filter((outcome) => outcome === 'held')).to.have.length(1);
  });
});
