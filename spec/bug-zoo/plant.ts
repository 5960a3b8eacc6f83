import type { Bug } from './bugs.js';

/** @throws Error where the passage is not there exactly once: whoever moved it names its new place in `bugs.ts` */
export function plant({ name, file, sound, broken }: Bug, code: string): string {
  const words = sound.trim().split(/\s+/).map(escaped);
  const places = [...code.matchAll(new RegExp(words.join('\\s+'), 'g'))];
  if (places.length !== 1) {
    const count = places.length === 0 ? 'is not there' : `is there ${places.length} times`;
    throw new Error(`The bug "${name}" cannot be planted: in dist/${file} this ${count}: ${sound}`);
  }
  return code.replace(places[0]?.[0] ?? sound, () => broken);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
