/**
 * Loaded before everything else, by `node --import`. Plants the bug that SIGNALBOX_BUG names. Where it names none, every
 * symbol of the zoo is replaced by itself: that fails where a symbol is gone, and shows that planting alone breaks nothing.
 */
import 'reflect-metadata';
import { readdirSync } from 'node:fs';
import { bugs } from './bugs.js';
import { type Bug, plant } from './plant.js';

const name = process.env['SIGNALBOX_BUG'];
const root = new URL('../../../', import.meta.url);
/** By their sources: what is left in `dist/` of a file that is gone is none of them. */
const modules = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => new URL(`dist/${path.replace(/\.tsx?$/, '.js')}`, root));

try {
  await plant(name === undefined ? bugs.map(harmless) : bugs.filter((bug) => bug.name === name), modules);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}

function harmless(bug: Bug): Bug {
  return { ...bug, plant: [bug.plant].flat().map((fault) => ({ ...fault, with: (original) => original })) };
}
