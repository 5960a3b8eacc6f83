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

/** One connection, and what is known of its life. */
interface Pulse {
  readonly socket: Beating;
  isAwaited: boolean;
  /** Frames that the client has sent. */
  heard: number;
  /** Frames in both directions when it was last looked, and when that number changed. */
  frames: number;
  changedAt: number;
  readonly openedAt: number;
}

/** A part of the connections that is pinged together. */
interface Slot {
  readonly pulses: Set<Pulse>;
  pingedAt: number | undefined;
}

/** Pings of one round are spread over so many moments. */
const slotCount = 25;

/**
 * Finds sockets whose other end is gone without a word, by one timer for all: each is pinged once per interval, and cut where
 * no pong comes in time. Closes idle ones where the settings say so.
 */
export class Heartbeat {
  readonly #settings: HeartbeatSettings;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #slots: readonly Slot[] = Array.from({ length: slotCount }, () => ({
    pulses: new Set<Pulse>(),
    pingedAt: undefined,
  }));
  #size = 0;
  #turn = 0;
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
  }

  /** Follows a socket until it closes. Returns the listener that hears what its client sends. */
  follow(socket: Beating, listener: TransportListener): TransportListener {
    const now = this.#now();
    const pulse: Pulse = { socket, isAwaited: false, heard: 0, frames: 0, changedAt: now, openedAt: now };
    const leave = this.#join(pulse);
    const hears = (): void => {
      pulse.isAwaited = false;
      pulse.heard += 1;
    };
    return {
      ...listener,
      onText: (text) => {
        hears();
        listener.onText(text);
      },
      onBinary: (data) => {
        hears();
        listener.onBinary(data);
      },
      onPong: () => {
        pulse.isAwaited = false;
      },
      onClose: (code) => {
        leave();
        listener.onClose(code);
      },
    };
  }

  #join(pulse: Pulse): () => void {
    const slot = this.#slots[this.#joined++ % slotCount] as Slot;
    slot.pulses.add(pulse);
    this.#size += 1;
    this.#timer ??= this.#next();
    this.#counters.gauge('signalbox.connections', this.#size);
    return () => {
      if (!slot.pulses.delete(pulse)) return;
      this.#size -= 1;
      this.#counters.gauge('signalbox.connections', this.#size);
      if (this.#size > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    };
  }

  #next(): Timer {
    const pause = Math.max(1, Math.ceil(this.#settings.interval / slotCount));
    const due = this.#now() + pause;
    return this.#clock.after(pause, () => this.#tick(due));
  }

  #tick(due: number): void {
    const now = this.#now();
    // While this process stood still nobody was heard, whoever spoke.
    if (now - due > this.#settings.timeLimit / 2) for (const slot of this.#slots) slot.pingedAt &&= now;
    const { timeLimit, idleTimeLimit, silentTimeLimit } = this.#settings;
    for (const slot of this.#slots) {
      if (slot.pingedAt !== undefined && now - slot.pingedAt >= timeLimit) this.#cutSilent(slot);
      if (idleTimeLimit !== false) for (const pulse of slot.pulses) this.#closeIdle(pulse, now, idleTimeLimit);
      if (silentTimeLimit !== false) for (const pulse of slot.pulses) this.#closeSilent(pulse, now, silentTimeLimit);
    }
    this.#ping(this.#slots[this.#turn++ % slotCount] as Slot, now);
    this.#timer = this.#size > 0 ? this.#next() : undefined;
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
    return this.#clock.now().getTime();
  }
}
