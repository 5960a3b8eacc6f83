import { heapBytesOf } from '#signalbox/wire/heap-bytes.js';
import { largeJson } from './large-json.js';
import { memoryKept } from './memory.js';

/** Of one kind of text: how many bytes of the heap so many values of it took, and what was estimated for one. */
export interface MeasuredJson {
  readonly what: string;
  readonly copies: number;
  readonly held: number;
  readonly estimate: number;
}

const copies = 20;

async function measure(what: string, text: () => string): Promise<MeasuredJson> {
  // A text that was put together takes more heap once it is read.
  const sources = Array.from({ length: copies }, () => String(Buffer.from(text())));
  const kept: unknown[] = [JSON.parse(text())];
  const before = await memoryKept();
  for (const source of sources) kept.push(JSON.parse(source));
  const held = (await memoryKept()) - before;
  // The texts and the values are needed until here, so that no collection takes them before.
  if (sources.length !== copies || kept.length !== copies + 1) throw new Error('Something is missing.');
  return { what, copies, held, estimate: heapBytesOf(kept.at(-1)) };
}

const measured: MeasuredJson[] = [];
for (const [what, text] of Object.entries(largeJson)) measured.push(await measure(what, text));
process.send?.(measured);
