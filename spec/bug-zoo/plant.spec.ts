import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { bugs } from './bugs.js';
import { always, answered, given, made } from './faults.js';
import { type Fault, plant } from './plant.js';

const { rawListeners } = EventEmitter.prototype;
const root = new URL('../../../', import.meta.url);

describe('The bug zoo', () => {
  it('finds the symbols of all bugs', async () => {
    const planted = new URL('planted.js', import.meta.url).href;
    await promisify(execFile)(process.execPath, ['--import', planted, '--eval', '']);
  });

  it('has one bug of each name, and the specs that catch it', () => {
    expect(new Set(bugs.map(({ name }) => name)).size).to.equal(bugs.length);
    const specs = new Set(bugs.flatMap(({ caughtBy }) => caughtBy));
    expect([...specs].filter((spec) => !existsSync(new URL(`spec/${spec}.spec.ts`, root)))).to.deep.equal([]);
  });
});

describe('The planter of bugs', () => {
  let folder: URL;
  let urls: readonly URL[];

  beforeEach(async () => {
    folder = pathToFileURL((await mkdtemp(join(tmpdir(), 'signalbox-zoo-'))) + sep);
    urls = [];
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function write(modules: Readonly<Record<string, string>>): Promise<void> {
    await writeFile(new URL('package.json', folder), '{ "type": "module" }');
    for (const [name, code] of Object.entries(modules)) await writeFile(new URL(name, folder), code);
    urls = Object.keys(modules).map((name) => new URL(name, folder));
  }

  function plantAll(...faults: readonly Fault[]): Promise<void> {
    return plant([{ name: 'no light', story: '', plant: faults, caughtBy: [] }], urls);
  }

  it('replaces methods, accessors, functions, classes and constants for all modules, the own one too', async () => {
    await write({
      'lamp.js': `
const volts = 230;
function twice(value) { return 2 * value; }
class Bulb { constructor(power) { this.power = power; } }
export class Lamp {
    get colour() { return 'white'; }
    shine() { return [twice(21), volts, new Bulb(60).power]; }
    dim() { return 1; }
}`,
      'room.js': `import { Lamp } from './lamp.js';
export const seen = () => { const lamp = new Lamp(); return [lamp.colour, lamp.dim(), ...lamp.shine()]; };`,
    });
    await plantAll(
      { symbol: 'Lamp.colour', with: answered((colour) => `${colour}?`) },
      { symbol: 'Lamp.dim', with: () => () => 0 },
      { symbol: 'twice', with: given((value: number) => [value + 1]) },
      { symbol: 'Bulb', with: made((power: number) => [power / 2]) },
      { symbol: 'volts', with: (volts: number) => -volts },
    );
    const { seen } = await import(new URL('room.js', folder).href);
    expect(seen()).to.deep.equal(['white?', 0, 44, -230, 30]);
  });

  it('replaces what one of several modules declares', async () => {
    await write({
      'lamp.js': 'const volts = 230;\nexport const lamp = () => volts;',
      'room.js': 'const volts = 12;\nexport const room = () => volts;',
    });
    await plantAll({ symbol: 'volts', in: 'room', with: (volts: number) => -volts });
    const { lamp } = await import(new URL('lamp.js', folder).href);
    const { room } = await import(new URL('room.js', folder).href);
    expect([lamp(), room()]).to.deep.equal([230, -12]);
  });

  it('replaces a method of a package', async () => {
    await plantAll({ symbol: 'EventEmitter.rawListeners', of: 'node:events', with: always('none') });
    expect(new EventEmitter().rawListeners('any')).to.equal('none');
    EventEmitter.prototype.rawListeners = rawListeners;
    const missing = plantAll({ symbol: 'EventEmitter.sink', of: 'node:events', with: always('none') });
    expect(await complaintOf(missing)).to.equal(
      'The bug "no light" cannot be planted: there is no "EventEmitter.sink". Correct its symbol in bugs.ts.',
    );
  });

  it('names each symbol that is not there, or is there twice', async () => {
    await write({
      'lamp.js': 'export class Lamp {}\nexport const wire = 1;',
      'room.js': 'const wire = 2;',
    });
    const complaint = await complaintOf(plantAll(...['Lamp.shine', 'Torch', 'wire'].map(harmless)));
    const way = 'Correct its symbol in bugs.ts.';
    expect(complaint.replaceAll(folder.href, '')).to.deep.equal(
      [
        `The bug "no light" cannot be planted: no module declares "Torch". ${way}`,
        `The bug "no light" cannot be planted: "wire" is declared in lamp.js and room.js. ${way}`,
        `The bug "no light" cannot be planted: there is no "Lamp.shine". ${way}`,
      ].join('\n'),
    );
  });

  function harmless(symbol: string): Fault {
    return { symbol, with: (original) => original };
  }
});

async function complaintOf(planted: Promise<void>): Promise<string> {
  return planted.then(
    () => 'none',
    (error: Error) => error.message,
  );
}
