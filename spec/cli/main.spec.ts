import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = new URL('../../../', import.meta.url);
const run = promisify(execFile);

describe('The program signalbox', () => {
  const start = async (...words: string[]) => {
    const { bin } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
    return run(process.execPath, [fileURLToPath(new URL(bin.signalbox, root)), ...words]);
  };

  it('is what package.json names, and lists its commands', async () => {
    const { stdout } = await start('--help');
    expect(stdout).to.contain('api:types  writes the types of the API as one file');
  });

  it('ends with the exit code of the command', async () => {
    const failure = await start('api:types', '--check').catch((error: unknown) => error);
    expect(failure).to.include({ code: 2, stderr: '--check compares a file: name it with --out.\n' });
  });
});
