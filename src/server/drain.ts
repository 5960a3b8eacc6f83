import type { Clock } from '../clock.js';
import { ServerClosing } from '../errors.js';
import type { DrainSettings } from '../server-settings.js';
import { settledWithin } from './settled-within.js';

/** A connection, as far as it can be asked to leave. */
export interface Leaver {
  /** Resolves once nothing of it is left. Never rejects. */
  leave(reason: ServerClosing, time: number): Promise<void>;
}

export interface DrainParts {
  readonly settings: DrainSettings;
  /** How long may be needed for what does not leave. */
  readonly reserve: number;
  readonly clock: Clock;
  /** Resolves where everything is to end at once. */
  readonly interrupted: Promise<void>;
}

/** So often, in milliseconds, the next connections are told to leave. */
const turn = 20;

/** So many milliseconds at most are made up for in one turn: who is late must not make a storm. */
const longestTurn = 60;

/** So long, in milliseconds, the last ones have to leave. */
const lastLeave = 500;

/** Its multiples, but for their whole parts, are never far from even between 0 and 1, however many there are. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

export const restartText = 'The server is restarting.';

/**
 * Empties a process without a storm: connections are told to leave one after the other, each with a time of its own to come
 * back elsewhere, so that neither they nor the servers that take them meet all at once.
 */
export class Drain {
  readonly #parts: DrainParts;
  readonly #begun: number;
  /** Of the time for coming back: that of whoever was told last. */
  #share = Math.random();

  constructor(parts: DrainParts) {
    this.#parts = parts;
    this.#begun = this.#now();
  }

  /** @param leavers asked for once the balancer has had its time. Resolves when all have left, or the time is over */
  async run(leavers: () => readonly Leaver[]): Promise<void> {
    const { settings, clock, interrupted } = this.#parts;
    if (settings.delay > 0 && (await settledWithin(interrupted, settings.delay, clock))) return;
    const left = this.#leaveAll(leavers());
    await settledWithin(Promise.race([left, interrupted]), this.#left(), clock);
  }

  async #leaveAll(all: readonly Leaver[]): Promise<void> {
    const leavers = shuffled(all);
    const { settings, clock, interrupted } = this.#parts;
    const wanted = (leavers.length / settings.rate) * 1_000;
    const spread = Math.max(turn, Math.min(wanted, settings.spread, this.#left() - lastLeave));
    const retryWindow = Math.max(settings.retrySpread, wanted - spread);
    const leaving: Promise<void>[] = [];
    let before = this.#now() - turn;
    const end = before + spread;
    for (let due = 0; leaving.length < leavers.length; ) {
      if (leaving.length > 0 && (await settledWithin(interrupted, turn, clock))) return;
      // What a busy process is late with is spread over the time that is left, so that the last ones are told in time.
      const passed = Math.min(this.#now() - before, longestTurn);
      due += (leavers.length - due) * Math.min(1, passed / Math.max(1, end - before));
      before = this.#now();
      const time = Math.max(1, Math.min(settings.actionTimeLimit, this.#left()));
      for (const leaver of leavers.slice(leaving.length, Math.ceil(due)))
        leaving.push(leaver.leave(this.#reason(retryWindow), time));
    }
    await Promise.all(leaving);
  }

  /** As even as those who leave are, those who come back are; where they begin is chance, for several processes may drain. */
  #reason(window: number): ServerClosing {
    this.#share = (this.#share + goldenRatio) % 1;
    return new ServerClosing(restartText, { retryAfter: Math.floor(this.#share * window) });
  }

  /** Milliseconds that are left for whoever leaves. */
  #left(): number {
    const { settings, reserve } = this.#parts;
    return Math.max(1, this.#begun + settings.timeLimit - reserve - this.#now());
  }

  #now(): number {
    return this.#parts.clock.elapsed();
  }
}

/** Who came together has often the same to do, and would take equally long to leave. */
function shuffled(leavers: readonly Leaver[]): readonly Leaver[] {
  const placed = leavers.map((leaver) => ({ leaver, place: Math.random() }));
  return placed.sort((one, other) => one.place - other.place).map(({ leaver }) => leaver);
}
