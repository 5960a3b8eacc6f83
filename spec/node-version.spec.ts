import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

/** What a process prints that takes itself for a Node of this version, and imports the package. */
async function importedUnder(version: string, specifier: string): Promise<string> {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`;
  const load = `import('${specifier}').then(() => console.log('loaded'), (error) => console.log(String(error)));`;
  const { stdout } = await run(process.execPath, ['--eval', pretend + load], { cwd: root });
  return stdout.trim();
}

describe('An import of signalbox', function () {
  this.timeout(30_000);

  it('says which Node is needed where it is too old', async () => {
    expect(await importedUnder('22.16.0', 'signalbox')).to.equal(
      'ConfigurationError: signalbox: needs Node 22.17 or newer, but this is 22.16.0. Install a newer Node, and run `node --version` to see that it is the one in use.',
    );
  });

  it('asks for the version that package.json names', async () => {
    const { engines } = JSON.parse(await readFile(`${root}/package.json`, 'utf8'));
    expect(engines).to.deep.equal({ node: '>=22.17' });
    const versions = ['20.20.2', '22.16.9', '22.17.0', '23.0.0'];
    const outcomes = await Promise.all(versions.map((version) => importedUnder(version, '#signalbox/node-version.js')));
    expect(outcomes.map((outcome) => outcome === 'loaded')).to.deep.equal([false, false, true, true]);
  });
});
