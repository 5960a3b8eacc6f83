import type { Clock, Timer } from '../clock.js';
import type { Counters } from '../counters.js';
import type { HeartbeatSettings } from '../server-settings.js';
import { CloseCode } from '../status.js';
import type { TransportListener } from './transport.js';

/** The server's end of a socket, as far as its life goes. */
export interface Beating {
  /** Frames that were sent so far. */
  readonly sent: number;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** A part of the connections that is pinged together. */
interface Slot {
  readonly pulses: Set<Pulse>;
  pingedAt: number | undefined;
}

/** One connection, and what is known of its life: it hears what the client sends, and passes it on. */
class Pulse implements TransportListener {
  readonly socket: Beating;
  readonly slot: Slot;
  readonly #listener: TransportListener;
  readonly #ended: (pulse: Pulse) => void;
  isAwaited = false;
  /** Frames that the client has sent. */
  heard = 0;
  /** Frames in both directions when it was last looked, and when that number changed. */
  frames = 0;
  changedAt: number;
  openedAt: number;

  constructor(
    socket: Beating,
    slot: Slot,
    listener: TransportListener,
    { now, ended }: { readonly now: number; readonly ended: (pulse: Pulse) => void },
  ) {
    this.socket = socket;
    this.slot = slot;
    this.#listener = listener;
    this.#ended = ended;
    this.changedAt = now;
    this.openedAt = now;
  }

  onText(text: string): void {
    this.#hear();
    this.#listener.onText(text);
  }

  onBinary(data: Uint8Array): void {
    this.#hear();
    this.#listener.onBinary(data);
  }

  onPong(mark?: string): void {
    this.isAwaited = false;
    this.#listener.onPong?.(mark);
  }

  onControl(bytes: number): void {
    this.#listener.onControl?.(bytes);
  }

  onClose(code: number): void {
    this.#ended(this);
    this.#listener.onClose(code);
  }

  #hear(): void {
    this.isAwaited = false;
    this.heard += 1;
  }
}

/** Pings of one round are spread over so many moments. */
const slotCount = 25;

/** So often, in milliseconds, the sockets are looked at, however seldom they are pinged. */
const longestPause = 1_000;

/**
 * Finds sockets whose other end is gone without a word, by one timer for all: each is pinged once per interval, and cut where
 * no pong comes in time. Closes idle ones where the settings say so.
 */
export class Heartbeat {
  readonly #settings: HeartbeatSettings;
  readonly #clock: Clock;
  readonly #counters: Counters;
  /** How often it is looked, and after how many looks the next slot is pinged. */
  readonly #pause: number;
  readonly #ticksPerPing: number;
  readonly #slots: readonly Slot[] = Array.from({ length: slotCount }, () => ({
    pulses: new Set<Pulse>(),
    pingedAt: undefined,
  }));
  #size = 0;
  #ticks = 0;
  #joined = 0;
  #timer: Timer | undefined;

  constructor({
    settings,
    clock,
    counters,
  }: {
    readonly settings: HeartbeatSettings;
    readonly clock: Clock;
    readonly counters: Counters;
  }) {
    this.#settings = settings;
    this.#clock = clock;
    this.#counters = counters;
    const step = settings.interval / slotCount;
    this.#ticksPerPing = Math.ceil(step / longestPause);
    this.#pause = Math.max(1, Math.ceil(step / this.#ticksPerPing));
  }

  /** Follows a socket until it closes. Returns the listener that hears what its client sends. */
  follow(socket: Beating, listener: TransportListener): TransportListener {
    const slot = this.#slots[this.#joined++ % slotCount] as Slot;
    const pulse = new Pulse(socket, slot, listener, { now: this.#now(), ended: this.#ended });
    slot.pulses.add(pulse);
    this.#size += 1;
    this.#timer ??= this.#next();
    this.#counters.gauge('signalbox.connections', this.#size);
    return pulse;
  }

  readonly #ended = (pulse: Pulse): void => {
    if (!pulse.slot.pulses.delete(pulse)) return;
    this.#size -= 1;
    this.#counters.gauge('signalbox.connections', this.#size);
    if (this.#size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  };

  #next(): Timer {
    const due = this.#now() + this.#pause;
    return this.#clock.after(this.#pause, () => this.#tick(due));
  }

  #tick(due: number): void {
    const now = this.#now();
    if (now - due > this.#settings.timeLimit / 2) this.#shift(now - due);
    const { timeLimit, idleTimeLimit, silentTimeLimit } = this.#settings;
    for (const slot of this.#slots) {
      if (slot.pingedAt !== undefined && now - slot.pingedAt >= timeLimit) this.#cutSilent(slot);
      if (idleTimeLimit !== false) for (const pulse of slot.pulses) this.#closeIdle(pulse, now, idleTimeLimit);
      if (silentTimeLimit !== false) for (const pulse of slot.pulses) this.#closeSilent(pulse, now, silentTimeLimit);
    }
    const turn = this.#ticks++ / this.#ticksPerPing;
    if (Number.isInteger(turn)) this.#ping(this.#slots[turn % slotCount] as Slot, now);
    this.#timer = this.#size > 0 ? this.#next() : undefined;
  }

  /** While this process stood still nobody was heard, whoever spoke. */
  #shift(time: number): void {
    for (const slot of this.#slots) {
      if (slot.pingedAt !== undefined) slot.pingedAt += time;
      for (const pulse of slot.pulses) {
        pulse.changedAt += time;
        pulse.openedAt += time;
      }
    }
  }

  #ping(slot: Slot, now: number): void {
    // Those that still owe a pong are not asked again.
    if (slot.pingedAt !== undefined) return;
    slot.pingedAt = now;
    for (const pulse of slot.pulses) {
      pulse.isAwaited = true;
      pulse.socket.ping();
    }
  }

  #cutSilent(slot: Slot): void {
    slot.pingedAt = undefined;
    for (const { socket, isAwaited } of slot.pulses) {
      if (!isAwaited) continue;
      this.#counters.increment('signalbox.dead_sockets');
      socket.terminate();
    }
  }

  #closeIdle(pulse: Pulse, now: number, limit: number): void {
    const frames = pulse.heard + pulse.socket.sent;
    if (frames !== pulse.frames) {
      pulse.frames = frames;
      pulse.changedAt = now;
    } else if (now - pulse.changedAt >= limit) {
      pulse.changedAt = now;
      pulse.socket.close(CloseCode.normal, 'The connection was idle.');
    }
  }

  #closeSilent(pulse: Pulse, now: number, limit: number): void {
    if (pulse.heard === 0 && now - pulse.openedAt >= limit) pulse.socket.close(CloseCode.policy, 'Nothing was said.');
  }

  #now(): number {
    return this.#clock.elapsed();
  }
}
