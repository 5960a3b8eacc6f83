#!/usr/bin/env node
// `npm create signalbox my-app` is `signalbox new my-app`, of the version that this package depends on.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const manifest = require.resolve('signalbox/package.json');
const { bin } = require(manifest);

process.argv.splice(2, 0, 'new');
await import(pathToFileURL(join(dirname(manifest), bin.signalbox)).href);
