import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { completeSettings } from '#signalbox/settings.js';
import { TemporaryFolder } from './support/temporary-folder.js';

const PROGRAM = '/usr/bin/systemd-analyze';
const howTo = fileURLToPath(new URL('../../docs/how-to/', import.meta.url));

async function unitOfDocs(): Promise<string> {
  const [, unit = ''] = /^```ini\n([\s\S]*?)^```$/m.exec(await readFile(join(howTo, 'deploy.md'), 'utf8')) ?? [];
  return unit.replaceAll('/usr/bin/node', process.execPath);
}

/** What systemd has to say of a unit, without its starting anything. */
async function verify(unit: string): Promise<string> {
  const folder = new TemporaryFolder();
  const path = join(folder.path, 'tracker.service');
  await writeFile(path, unit);
  const { stdout, stderr } = await promisify(execFile)(PROGRAM, ['verify', path]).finally(() => folder.remove());
  return stdout + stderr;
}

describe('The supervisors of docs/how-to', () => {
  it('wait longer than a process takes to drain', async () => {
    const { timeLimit } = completeSettings().drain;
    const compose = /stop_grace_period: (\d+)s/.exec(await readFile(join(howTo, 'docker.md'), 'utf8'));
    const unit = /TimeoutStopSec=(\d+)$/m.exec(await unitOfDocs());
    for (const found of [compose, unit]) expect(Number(found?.[1]) * 1_000).to.be.at.least(timeLimit + 4_000);
  });

  describe('of systemd', () => {
    before(function () {
      if (existsSync(PROGRAM)) return;
      if (process.env.CI === 'true') throw new Error(`There is no ${PROGRAM}: apt-get install systemd`);
      this.skip();
    });

    it('read the unit without a complaint', async () => {
      expect(await verify(await unitOfDocs())).to.equal('');
    });

    it('complain of a misspelt key', async () => {
      const misspelt = (await unitOfDocs()).replace('TimeoutStopSec', 'TimeoutStopSecs');
      expect(await verify(misspelt)).to.include("Unknown key 'TimeoutStopSecs' in section [Service], ignoring.");
    });
  });
});
