import { defaultSettings } from '#signalbox/settings.js';
import { checkJson } from '#signalbox/wire/json-guard.js';

const rows = Array.from({ length: 100 }, (_, id) => ({
  id,
  name: `room ${id}`,
  host: { id: 1, name: 'ann' },
  open: true,
}));
const texts: Readonly<Record<string, string>> = {
  'a request of 70 bytes': '{"action":"retrieve","request_id":42,"pk":1,"fields":["id","name"]}',
  'a message of 600 bytes': JSON.stringify({
    stream: 'rooms',
    payload: {
      action: 'create_message',
      request_id: 'f3b1c5d0-2c1f-4a53-9a44-0d2b6e1f7a11',
      room: 7,
      text: 'word '.repeat(90),
    },
  }),
  '100 rows, 6 KB': JSON.stringify({ action: 'save', request_id: 1, rows }),
  'a text of 30 KB': JSON.stringify({ action: 'save', request_id: 1, text: 'x'.repeat(30_000) }),
  'escapes, 30 KB': JSON.stringify({ action: 'save', request_id: 1, text: '"\n'.repeat(7_500) }),
};
const rounds = 9;

/** Microseconds per text. */
function time(work: () => void, runs: number): number {
  const start = process.hrtime.bigint();
  for (let run = 0; run < runs; run += 1) work();
  return Number(process.hrtime.bigint() - start) / 1_000 / runs;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

for (const [name, text] of Object.entries(texts)) {
  const runs = Math.ceil(3_000_000 / text.length);
  const bare: number[] = [];
  const guarded: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bare.push(time(() => JSON.parse(text), runs));
    guarded.push(
      time(() => {
        checkJson(text, defaultSettings.limits);
        JSON.parse(text);
      }, runs),
    );
  }
  const [one, both] = [median(bare), median(guarded)];
  process.stdout.write(
    `${name.padEnd(24)} JSON.parse ${one.toFixed(2)} us, with the guard ${both.toFixed(2)} us, ratio ${(both / one).toFixed(2)}\n`,
  );
}
