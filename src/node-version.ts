import { ConfigurationError } from './errors.js';

// Checks the version in `engines` of package.json, about which npm only warns. On an older Node the first missing function would fail, late
// and without the reason. This file is the first import of index.ts.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 17)) {
  throw new ConfigurationError({
    class: 'signalbox',
    reason: `needs Node 22.17 or newer, but this is ${process.versions.node}.`,
    remedy: 'Install a newer Node, and run `node --version` to see that it is the one in use.',
  });
}
