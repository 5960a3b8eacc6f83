import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The peers' packages are none of the project's: they are installed beside their servers, and only here. */
export function installPeers(): void {
  const folder = fileURLToPath(new URL('../../../../bench/peers/', import.meta.url));
  const isInstalled =
    existsSync(`${folder}node_modules/.package-lock.json`) &&
    statSync(`${folder}node_modules/.package-lock.json`).mtimeMs >= statSync(`${folder}package-lock.json`).mtimeMs;
  if (!isInstalled) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  execFileSync('tsc', ['-p', folder], { stdio: 'inherit' });
}
