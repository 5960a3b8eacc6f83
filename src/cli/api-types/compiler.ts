import { createRequire } from 'node:module';
import { join } from 'node:path';
import type ts from 'typescript-6';
import { CommandFailed } from '../command.js';

/**
 * Packages that may have the compiler interface of TypeScript 5.9 or 6; the second and the third can be installed beside a newer
 * TypeScript.
 */
const PACKAGES = ['typescript', '@typescript/typescript6', 'typescript-6'];

/**
 * Loads the compiler of a project as a library.
 *
 * @param folder from which packages are resolved
 * @throws CommandFailed if there is no compiler, or only one without the interface that this needs
 */
export function loadCompiler(folder: string): typeof ts {
  const require = createRequire(join(folder, 'package.json'));
  const found = PACKAGES.flatMap((name) => load(require, name));
  const compiler = found.find(isUsable);
  if (compiler) return compiler;
  const has = found[0] ? `This project has TypeScript ${found[0].version}` : 'This project has none';
  throw new CommandFailed(
    `signalbox api:types needs the compiler interface of TypeScript 6, which TypeScript 7 does not have. ${has}. ` +
      'Install it beside: npm install --save-dev @typescript/typescript6',
  );
}

function load(require: NodeJS.Require, name: string): (typeof ts)[] {
  try {
    return [require(name) as typeof ts];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return [];
    throw error;
  }
}

function isUsable(compiler: typeof ts): boolean {
  const [major = 0, minor = 0] = compiler.version.split('.').map(Number);
  return typeof compiler.createProgram === 'function' && (major === 6 || (major === 5 && minor >= 9));
}
