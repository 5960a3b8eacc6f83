/** A signal with any payload. */
export type AnySignal = Pick<Signal<never>, 'name' | 'send'>;

export type Receiver<T> = (payload: T) => unknown;

/** Makes the payload for one receiver, while the sender waits. */
export type Prepare<T> = (payload: T) => T;

/**
 * A typed event inside the process. A receiver never disturbs the sender: a receiver that throws or
 * rejects is reported to `onFailure`, and the others are still called.
 *
 * ```ts
 * export const joined = new Signal<{ room: number; user: string }>();
 * joined.send({ room: 1, user: 'ann' });
 * ```
 *
 * With a name, processes without consumers can send it too: `writeChangeLog({ orm, signals: [departed] })`.
 *
 * ```ts
 * export const departed = new Signal<{ train: number }>('departed');
 * ```
 */
export class Signal<T> {
  readonly #receivers = new Map<Receiver<T>, Prepare<T>>();
  /** The name of the signal in every process; undefined if only observers identify it. */
  readonly name: string | undefined;
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure?: (error: unknown) => void);
  constructor(name: string, onFailure?: (error: unknown) => void);
  /** @param onFailure called with the error of a receiver. Default: a warning of the process */
  constructor(first: string | ((error: unknown) => void) = warn, onFailure = warn) {
    this.name = typeof first === 'string' ? first : undefined;
    this.#onFailure = typeof first === 'string' ? onFailure : first;
  }

  /**
   * Connects a receiver.
   *
   * @param prepare makes the receiver's payload. If it throws, the sender gets the error and no receiver is called; default: the sent
   * payload itself
   */
  connect(receiver: Receiver<T>, prepare: Prepare<T> = (payload) => payload): void {
    this.#receivers.set(receiver, prepare);
  }

  /** Disconnects a receiver; does nothing if it is not connected. */
  disconnect(receiver: Receiver<T>): void {
    this.#receivers.delete(receiver);
  }

  /**
   * Calls all receivers.
   *
   * @throws ConfigurationError if an `@Observer` receives the signal and the payload cannot be encoded as data, such as an entity or a
   * function
   */
  send(payload: T): void {
    const calls = [...this.#receivers].map(([receiver, prepare]) => [receiver, prepare(payload)] as const);
    for (const [receiver, prepared] of calls) this.#call(receiver, prepared);
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
