export type Receiver<T> = (payload: T) => unknown;

/**
 * A typed event inside the process. Whoever sends it is never disturbed by whoever receives it: a receiver that throws or
 * rejects is reported to `onFailure`, and the others are still called.
 *
 * ```ts
 * export const joined = new Signal<{ room: number; user: string }>();
 * joined.send({ room: 1, user: 'ann' });
 * ```
 */
export class Signal<T> {
  readonly #receivers = new Set<Receiver<T>>();
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure told of a receiver that failed. Default: a warning of the process */
  constructor(onFailure: (error: unknown) => void = warn) {
    this.#onFailure = onFailure;
  }

  connect(receiver: Receiver<T>): void {
    this.#receivers.add(receiver);
  }

  disconnect(receiver: Receiver<T>): void {
    this.#receivers.delete(receiver);
  }

  send(payload: T): void {
    for (const receiver of [...this.#receivers]) this.#call(receiver, payload);
  }

  async #call(receiver: Receiver<T>, payload: T): Promise<void> {
    try {
      await receiver(payload);
    } catch (error) {
      this.#onFailure(error);
    }
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
