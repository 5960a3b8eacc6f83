import { Embedded } from '@mikro-orm/decorators/legacy';
import fc from 'fast-check';
import { columnKinds, embeddableOf, embeddables, ownKinds } from '../support/generated/column-kinds.js';
import { allOptions, columnPlan, type Batch } from '../support/generated/generated-models.js';
import { differencesIn } from '../support/generated/playback.js';
import { createDatabase } from '../support/postgres.js';
const skip = ['domain', 'domain of texts', 'array of JSON', 'money', 'range', 'point', 'bit', 'xml', 'lazy reference', 'hidden', 'version'];
const names = process.env['KINDS'] ? process.env['KINDS'].split(';') : ownKinds.map((k) => k.name).filter((n) => !skip.includes(n));
const runs = Number(process.env['RUNS'] ?? 6);
const options = process.env['OPT'] ? [process.env['OPT'] as never] : allOptions;
const seed = Number(process.env['SEED'] ?? 1);
const wraps = { inline: {}, object: { object: true }, array: { array: true } };
const emb = (process.env['EMB'] ?? '').split(',').filter(Boolean) as (keyof typeof wraps)[];
describe('zprobe', function () {
  this.timeout(0);
  it('plays', async () => {
    const url = await createDatabase(`zprobe${process.pid}`);
    for (const name of names) for (const e of emb.length ? emb : ['none' as const]) {
      const seen = new Map<string, string>();
      const plain = columnKinds.find((k) => k.name === name);
      if (!plain) throw new Error(name);
      let kind = plain;
      if (e !== 'none') {
        const integer = ownKinds[0]!;
        const made = embeddableOf('Part', [integer, plain]);
        embeddables.splice(5, 9, made.type as never);
        kind = { name: `${e} of ${name}`, type: e === 'array' ? Array : made.type, declare: (more) => Embedded(() => made.type, { ...wraps[e], ...more } as never), values: e === 'array' ? fc.array(made.values, { maxLength: 2 }) : made.values };
      }
      const batches = fc.sample(fc.record({ options: fc.constantFrom(...options), columns: fc.array(columnPlan(kind), { minLength: 1, maxLength: 1 }) }), { numRuns: runs, seed });
      for (const { options: o, columns } of batches) {
        const played = { options: o, models: [{ key: 'integer', columns, relations: [] }] } as unknown as Batch;
        try {
          for (const d of await differencesIn(played, url)) {
            const key = `${d.kind} | ${d.what}`;
            if (!seen.has(key)) seen.set(key, `${o} ${columns[0]!.isNullable} ${columns[0]!.use} ${d.field}\n     ${d.one.slice(0, 400)}\n     ${d.other.slice(0, 400)}`);
          }
        } catch (err) { seen.set(`${name} threw ${(err as Error).message.slice(0, 300)}`, o); }
      }
      if (seen.size) { console.log('##', name, e); for (const [k, v] of [...seen].slice(0, 2)) console.log(k, v); }
    }
  });
});
