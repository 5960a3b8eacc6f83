import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Gate } from './gate.js';

/** Sockets that have not asked to become connections: their clients say nothing yet, or speak plain HTTP. */
export class WaitingSockets {
  readonly #gate: Gate;
  readonly #leave = new Map<Duplex, () => void>();

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** One that is too many is cut: it has asked for nothing that could be answered. */
  add(socket: Socket): void {
    const release = this.#gate.knock(socket.remoteAddress);
    if (!release) {
      socket.destroy();
      return;
    }
    const leave = (): void => {
      socket.off('close', leave);
      if (this.#leave.delete(socket)) release();
    };
    this.#leave.set(socket, leave);
    socket.once('close', leave);
  }

  /** It asks to become a connection, and counts as that from now on. */
  delete(socket: Duplex): void {
    this.#leave.get(socket)?.();
  }
}
