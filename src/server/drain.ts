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
const turn = 100;

/** So many turns at most are made up for in one: who is late must not make a storm. */
const mostSlices = 2;

/** So long, in milliseconds, the last ones have to leave. */
const lastLeave = 500;

export const restartText = 'The server is restarting.';

/**
 * Empties a process without a storm: connections are told to leave one after the other, each with a time of its own to come
 * back elsewhere, so that neither they nor the servers that take them meet all at once.
 */
export class Drain {
  readonly #parts: DrainParts;
  readonly #begun: number;

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

  async #leaveAll(leavers: readonly Leaver[]): Promise<void> {
    const { settings, clock, interrupted } = this.#parts;
    const wanted = (leavers.length / settings.rate) * 1_000;
    const spread = Math.max(turn, Math.min(wanted, settings.spread, this.#left() - lastLeave));
    const retryWindow = Math.max(settings.retrySpread, wanted - spread);
    const slice = Math.ceil((leavers.length * turn) / spread);
    const leaving: Promise<void>[] = [];
    const begun = this.#now();
    while (leaving.length < leavers.length) {
      if (leaving.length > 0 && (await settledWithin(interrupted, turn, clock))) return;
      const time = Math.max(1, Math.min(settings.actionTimeLimit, this.#left()));
      // By the time that has passed, not by turns: in a busy process they take longer, and the last ones would never be told.
      const due = Math.ceil((leavers.length * (this.#now() - begun + turn)) / spread);
      const end = Math.min(due, leaving.length + mostSlices * slice);
      for (const leaver of leavers.slice(leaving.length, end))
        leaving.push(leaver.leave(this.#reason(retryWindow), time));
    }
    await Promise.all(leaving);
  }

  #reason(window: number): ServerClosing {
    return new ServerClosing(restartText, { retryAfter: Math.floor(Math.random() * window) });
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
