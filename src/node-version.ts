import { ConfigurationError } from './errors.js';

// What package.json says under `engines`, of which npm only warns. On an older Node the first function that is missing would fail, late and
// without its reason. It is the first import of index.ts.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 17)) {
  throw new ConfigurationError({
    class: 'signalbox',
    reason: `needs Node 22.17 or newer, and this is ${process.versions.node}.`,
    remedy: 'Install a newer Node, and run `node --version` to see that it is the one in use.',
  });
}
