import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../settings.js';
import { identifyProcess, isRunning, type ProcessIdentity } from './process-identity.js';

/**
 * Milliseconds in which a lock file gets its content after its creation: longer than a write takes, and shorter than a user would
 * wait.
 */
const TIME_TO_WRITE = 2_000;

/**
 * Keeps a second process out of a folder: PGlite has no lock of its own, and two processes would destroy its files. The lock
 * holds on one machine and within one container, but not between machines that share a disk.
 */
export class FolderLock {
  private constructor(private readonly path: string) {}

  static acquire(folder: string): FolderLock {
    mkdirSync(folder, { recursive: true });
    return FolderLock.acquireFile(join(folder, 'lock'), folder);
  }

  release(): void {
    const owner = readOwner(this.path);
    if (owner !== 'unknown' && owner?.pid === process.pid) rmSync(this.path, { force: true });
  }

  private static acquireFile(path: string, folder: string): FolderLock {
    for (;;) {
      if (createFile(path)) return new FolderLock(path);
      refuseIfHeld(path, folder);
      FolderLock.removeStale(path, folder);
    }
  }

  /**
   * The right to remove a stale file is a lock itself: otherwise two starting processes could both find the same
   * stale file, and the slower one would remove the new lock of the faster one.
   */
  private static removeStale(path: string, folder: string): void {
    const takeover = FolderLock.acquireFile(`${path}.takeover`, folder);
    try {
      refuseIfHeld(path, folder);
      rmSync(path, { force: true });
    } finally {
      takeover.release();
    }
  }
}

function createFile(path: string): boolean {
  try {
    writeFileSync(path, `${JSON.stringify(identifyProcess(process.pid))}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function refuseIfHeld(path: string, folder: string): void {
  const owner = readOwner(path);
  if (!owner) return;
  if (owner === 'unknown') {
    if (isFresh(path)) throw new StartError(`Another process is just starting on the folder ${folder}.`);
    return;
  }
  if (!isRunning(owner)) return;
  throw new StartError(
    `The folder ${folder} is in use by process ${owner.pid}: stop that one first, or choose another folder with DATA_FOLDER.`,
  );
}

function readOwner(path: string): ProcessIdentity | 'unknown' | undefined {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity> | null;
    if (!Number.isInteger(owner?.pid)) return 'unknown';
    return { pid: Number(owner?.pid), startedAt: owner?.startedAt ?? null };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'unknown';
  }
}

function isFresh(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  return file !== undefined && Date.now() - file.mtimeMs < TIME_TO_WRITE;
}
