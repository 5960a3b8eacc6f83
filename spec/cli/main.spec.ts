import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);

describe('The program signalbox', () => {
  const start = async (...words: string[]) => {
    const { bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    return run(process.execPath, [join(root, bin.signalbox), ...words]);
  };

  it('is what package.json names, and lists its commands', async () => {
    const { stdout } = await start('--help');
    expect(stdout).to.match(/\n {2}api:types \[options\] +write the types of the API as one file/);
  });

  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    expect((await start('--version')).stdout).to.equal(`${version}\n`);
  });

  it('ends with the exit code of the command', async () => {
    const failure = await start('api:types', '--check').catch((error: unknown) => error);
    expect(failure).to.include({ code: 2, stderr: '--check compares a file: name it with --out.\n' });
  });
});
