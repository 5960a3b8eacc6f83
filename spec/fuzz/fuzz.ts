import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { memoryHeld } from '../support/memory.js';
import { FuzzApplication, fuzzEntities } from './application.js';
import { Fault, Round } from './round.js';
import { World } from './world.js';

export interface RunOptions {
  /** Of the first round; the next one has the next seed. */
  readonly seed: number;
  /** In each round. */
  readonly steps: number;
  readonly rounds: number;
  /** No round begins afterwards. */
  readonly milliseconds: number;
  readonly say?: (text: string) => void;
}

/** The process has warmed up after so many rounds. */
const warmUp = 20;

/** By so many bytes the memory that is held may grow afterwards: what comes and goes between two rounds. */
const slack = 24_000_000;

/** How often a long run says how far it is, in milliseconds. */
const interval = 60_000;

/** Two applications on one database, and the rounds that are played against them. */
export class Fuzz {
  readonly #counts = new Map<string, number>();
  readonly #held: number[] = [];

  private constructor(
    private readonly world: World,
    private readonly applications: readonly FuzzApplication[],
  ) {}

  /** @param url of an empty database */
  static async start(url: string): Promise<Fuzz> {
    const orm = await MikroORM.init({
      clientUrl: url,
      entities: fuzzEntities,
      metadataProvider: ReflectMetadataProvider,
    });
    await orm.schema.create();
    await orm.close(true);
    const world = new World();
    // The first one makes the tables of the log.
    const first = await FuzzApplication.start(url, world);
    return new Fuzz(world, [first, await FuzzApplication.start(url, world)]);
  }

  /** What was done and heard, by name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** @throws Fault */
  async run({ seed, steps, rounds, milliseconds, say = () => {} }: RunOptions): Promise<void> {
    const { applications, world } = this;
    const count = (what: string): void => void this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    const end = performance.now() + milliseconds;
    let next = performance.now() + interval;
    for (let round = 0; round < rounds && performance.now() < end; round += 1) {
      await new Round({ applications, world, seed: seed + round, steps, count }).play();
      this.#held.push(memoryHeld());
      if (performance.now() < next) continue;
      say(`${round + 1} rounds, ${this.#memory}`);
      next += interval;
    }
    this.#checkMemory(seed);
    say(`${this.#held.length} rounds, ${this.#memory}`);
    say(
      [...this.#counts]
        .sort()
        .map(([what, times]) => `${what}: ${times}`)
        .join('\n'),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.applications.map((application) => application.close()));
  }

  get #memory(): string {
    const [warm, last] = [this.#held[warmUp] ?? this.#held[0], this.#held.at(-1)];
    const shown = (bytes = 0): string => `${(bytes / 1_000_000).toFixed(1)} MB`;
    return `${shown(last)} held, ${shown(warm)} after the first ones`;
  }

  #checkMemory(seed: number): void {
    const warm = this.#held[warmUp];
    const last = this.#held.at(-1);
    if (warm === undefined || last === undefined || last - warm < slack) return;
    throw new Fault(`seed ${seed}: the memory does not come back to its level: ${this.#memory}`);
  }
}
