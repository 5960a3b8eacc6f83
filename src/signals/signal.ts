/** A signal of whatever payload. */
export type AnySignal = Pick<Signal<never>, 'name' | 'send'>;

export type Receiver<T> = (payload: T) => unknown;

/** Makes what one receiver is given, while the sender waits. */
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
  /** What every process calls it; undefined where only its observers tell what it is. */
  readonly name: string | undefined;
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure?: (error: unknown) => void);
  constructor(name: string, onFailure?: (error: unknown) => void);
  /** @param onFailure called with what a receiver threw. Default: a warning of the process */
  constructor(first: string | ((error: unknown) => void) = warn, onFailure = warn) {
    this.name = typeof first === 'string' ? first : undefined;
    this.#onFailure = typeof first === 'string' ? onFailure : first;
  }

  /** @param prepare what it throws reaches the sender, and no receiver is called; default: what was sent, as it is */
  connect(receiver: Receiver<T>, prepare: Prepare<T> = (payload) => payload): void {
    this.#receivers.set(receiver, prepare);
  }

  /** Ends what `connect` began with this receiver; does nothing where it is not connected. */
  disconnect(receiver: Receiver<T>): void {
    this.#receivers.delete(receiver);
  }

  /** @throws ConfigurationError where an `@Observer` hears of it and the payload is no data: an entity, say, or a function */
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
