import type { Clock, Timer } from '../clock.js';
import type { HeartbeatSettings } from '../settings.js';
import { CloseCode } from '../status.js';
import type { GuardedCounters } from '../telemetry.js';

/** The state of one connection's heartbeat. */
export interface Liveness {
  /** The group of connections with which it is pinged. */
  slot: number;
  /** Whether it owes an answer to a ping. */
  isAwaited: boolean;
  /** The number of frames from the client. */
  heard: number;
  /** The number of frames in both directions at the last check, and when that number last changed. */
  frames: number;
  changedAt: number;
  openedAt: number;
}

/** The part of a connection that the heartbeat needs. */
export interface LivingConnection {
  readonly liveness: Liveness;
  /** The number of sent frames. */
  readonly sent: number;
  /** Whether its socket is not read, because its client sends too fast: then no answer could be received. */
  readonly isPaused: boolean;
  /** Whether its socket has closed, though its disconnect hooks may still run. */
  readonly isClosed: boolean;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The number of moments over which the pings of one round are spread. */
const slotCount = 25;

/** The longest pause in milliseconds between two checks of the connections, however rarely they are pinged. */
const longestPause = 1_000;

/**
 * Finds sockets whose other end has died silently, with one timer for all: it pings each connection once per interval, and cuts it if no
 * pong comes in time. It closes idle connections if the settings say so.
 */
export class Heartbeat {
  /** The pause between two checks in milliseconds, and the number of checks after which the next slot is pinged. */
  readonly #pause: number;
  readonly #ticksPerPing: number;
  /** When each slot was pinged that still owes answers. */
  readonly #pingedAt: (number | undefined)[] = Array.from({ length: slotCount });
  #ticks = 0;
  #joined = 0;
  #timer: Timer | undefined;

  /** @param connections returns all open connections; called at each check */
  constructor(
    private readonly settings: HeartbeatSettings,
    private readonly clock: Clock,
    private readonly counters: GuardedCounters,
    private readonly connections: { readonly size: number; values(): Iterable<LivingConnection> },
  ) {
    const step = settings.interval / slotCount;
    this.#ticksPerPing = Math.ceil(step / longestPause);
    this.#pause = Math.max(1, Math.ceil(step / this.#ticksPerPing));
  }

  /** Adds an open connection. */
  opened({ liveness }: LivingConnection): void {
    const now = this.clock.elapsed();
    liveness.slot = this.#joined++ % slotCount;
    liveness.openedAt = now;
    liveness.changedAt = now;
    this.#count();
    this.#timer ??= this.#next(now);
  }

  /** Removes an ended connection. */
  closed(): void {
    this.#count();
    if (this.connections.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #count(): void {
    if (this.counters.isOn) this.counters.gauge('signalbox.connections', this.connections.size);
  }

  #next(now: number): Timer {
    const due = now + this.#pause;
    return this.clock.after(this.#pause, () => this.#tick(due));
  }

  #tick(due: number): void {
    const now = this.clock.elapsed();
    if (now - due > this.settings.timeLimit / 2) this.#shift(now - due);
    const turn = this.#ticks++ / this.#ticksPerPing;
    const slot = turn % slotCount;
    const overdue = this.#overdueSlots(now);
    // A slot that still owes answers is not pinged again.
    const isPinged = Number.isInteger(turn) && (overdue.has(slot) || this.#pingedAt[slot] === undefined);
    for (const connection of this.connections.values()) {
      const { liveness } = connection;
      // The duration of a pause has a limit of its own.
      if (connection.isPaused || connection.isClosed) continue;
      if (overdue.has(liveness.slot) && liveness.isAwaited) this.#cut(connection);
      else {
        this.#closeIdle(connection, now);
        if (isPinged && liveness.slot === slot) this.#ping(connection);
      }
    }
    for (const one of overdue) this.#pingedAt[one] = undefined;
    if (isPinged) this.#pingedAt[slot] = now;
    this.#timer = this.connections.size > 0 ? this.#next(now) : undefined;
  }

  /** Extends the deadlines by the time in which this process stood still, and received nothing that clients sent. */
  #shift(time: number): void {
    for (const [slot, at] of this.#pingedAt.entries()) if (at !== undefined) this.#pingedAt[slot] = at + time;
    for (const { liveness } of this.connections.values()) {
      liveness.changedAt += time;
      liveness.openedAt += time;
    }
  }

  #overdueSlots(now: number): ReadonlySet<number> {
    const overdue = new Set<number>();
    for (const [slot, at] of this.#pingedAt.entries())
      if (at !== undefined && now - at >= this.settings.timeLimit) overdue.add(slot);
    return overdue;
  }

  #ping(connection: LivingConnection): void {
    connection.liveness.isAwaited = true;
    connection.ping();
  }

  #cut(connection: LivingConnection): void {
    this.counters.increment('signalbox.dead_sockets');
    connection.terminate();
  }

  #closeIdle(connection: LivingConnection, now: number): void {
    const { idleTimeLimit, silentTimeLimit } = this.settings;
    const { liveness } = connection;
    if (silentTimeLimit !== false && liveness.heard === 0 && now - liveness.openedAt >= silentTimeLimit)
      connection.close(CloseCode.policy, 'Nothing was said.');
    if (idleTimeLimit === false) return;
    const frames = liveness.heard + connection.sent;
    if (frames !== liveness.frames) {
      liveness.frames = frames;
      liveness.changedAt = now;
    } else if (now - liveness.changedAt >= idleTimeLimit) {
      liveness.changedAt = now;
      connection.close(CloseCode.normal, 'The connection was idle.');
    }
  }
}
