import { readFile } from 'node:fs/promises';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

// The package is ESM only, which require() loads since Node 22.12, and TypeScript knows it since 5.8: no fault. The oldest
// resolution, that of Node 10, knows no subpaths, and is gone from TypeScript 7.
const accepted = (problem) => problem.kind === 'CJSResolvesToESM' || problem.resolutionKind === 'node10';

const [, , tarball] = process.argv;
const data = await readFile(tarball);

const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(data).buffer }, strict: true });
const { problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(data)));

const faults = [
  ...messages.map((message) => `publint: ${formatMessage(message, pkg)}`),
  ...problems.filter((problem) => !accepted(problem)).map((problem) => `attw: ${JSON.stringify(problem)}`),
];
if (faults.length > 0) {
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exitCode = 1;
}
