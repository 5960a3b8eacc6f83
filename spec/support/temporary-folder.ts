import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of one spec. Its path is short, because that of a Unix socket has to be. */
export class TemporaryFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'signalbox-'));

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
