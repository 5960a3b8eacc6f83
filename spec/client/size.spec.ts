import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type BuildResult, buildSync } from 'esbuild';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** What a page would load for one import. */
function bundle(code: string): {
  readonly brotli: number;
  readonly gzip: number;
  readonly files: readonly string[];
} {
  const { outputFiles, metafile }: BuildResult<{ write: false; metafile: true }> = buildSync({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    write: false,
    metafile: true,
  });
  const [output] = Object.values(metafile.outputs);
  const used = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const text = outputFiles[0]?.contents ?? '';
  const files = used.map(([file]) => file);
  return { brotli: brotliCompressSync(text).length, gzip: gzipSync(text, { level: 9 }).length, files };
}

describe('What a page loads of the client', function () {
  this.timeout(30_000);

  it('is at most 3 kB, compressed as browsers ask for it, 3.3 kB with gzip, and nothing of the server', () => {
    const { brotli, gzip, files } = bundle(`export { createClient } from 'signalbox/client';`);
    expect(brotli).to.be.at.most(3_000);
    expect(gzip).to.be.at.most(3_320);
    for (const file of files.filter((name) => name !== '<stdin>'))
      expect(file).to.match(/^dist\/(client\/[\w-]+|wire\/messages)\.js$/);
  });

  it('has binary frames only where they are used, for 0.3 kB more', () => {
    const alone = bundle(`export { createClient } from 'signalbox/client';`);
    const both = bundle(`export { createClient, binaryFrames } from 'signalbox/client';`);
    expect(alone.files).to.not.include('dist/client/binary-frames.js');
    expect(both.gzip - alone.gzip).to.be.at.most(300);
  });

  it('has live collections only where they are used, for 1 kB more', () => {
    const alone = bundle(`export { createClient } from 'signalbox/client';`);
    const both = bundle(`export { createClient, live } from 'signalbox/client';`);
    expect(alone.files).to.not.include('dist/client/live.js');
    expect(both.files).to.include('dist/client/live.js');
    expect(both.gzip - alone.gzip).to.be.at.most(1_000);
  });
});
