import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect } from 'chai';

const packageFolder = resolve(import.meta.dirname, '../..');
const made = /^(node_modules|dist|data)\b/;

/** What a file names by a relative path, other than a folder above it. */
const relativePath = /['"](\.\.?\/[^'"]*\w[^'"]*)['"]/g;

function pathsOutside(file: string): string[] {
  const path = join(packageFolder, file);
  const named = [...readFileSync(path, 'utf8').matchAll(relativePath)].map(([, name = '']) => name);
  return named
    .filter((name) => relative(packageFolder, resolve(dirname(path), name)).startsWith('..'))
    .map((name) => `${file} names ${name}`);
}

describe('The sample app as a template', () => {
  it('names nothing outside of its folder but the framework, once', () => {
    const files = readdirSync(packageFolder, { recursive: true, encoding: 'utf8' })
      .filter((file) => !made.test(file) && /\.(ts|json|html|css)$/.test(file))
      .sort();
    expect(files.flatMap(pathsOutside)).to.deep.equal(['src/tsconfig.json names ../../src']);
  });
});
