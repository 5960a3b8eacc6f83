import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class TemporaryFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'signalbox-chat-'));

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
