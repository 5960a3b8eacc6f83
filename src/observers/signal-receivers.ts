import { currentWork } from '../async-context.js';
import type { LoggedSignal } from '../orm/change-capture.js';
import type { AnySignal, Signal } from '../signals/signal.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { decodePayload, encodePayload } from './signal-payload.js';

/** A signal that an application receives, and its name in every process, which is the id of its first observer. */
export interface HeardSignal {
  readonly signal: Signal<never>;
  readonly atOnce: boolean;
  readonly name: string;
}

/**
 * The signals that an application receives, between their senders and their observers. A payload travels as text, also within one process.
 */
export class SignalReceivers {
  readonly #heard: readonly HeardSignal[];
  readonly #ends: (() => void)[] = [];

  constructor(heard: readonly HeardSignal[]) {
    this.#heard = heard;
  }

  get areHeard(): boolean {
    return this.#heard.length > 0;
  }

  /** @param receive called while the sender waits; the sender gets its errors */
  begin(receive: (sent: LoggedSignal, atOnce: boolean) => void): void {
    for (const atOnce of [true, false]) {
      const heard = this.#heard.filter((each) => each.atOnce === atOnce);
      for (const signal of new Set(heard.map((each) => each.signal))) {
        const names = heard.flatMap((each) => (each.signal === signal ? each.name : []));
        if (signal.name !== undefined) names.push(nameOf(signal.name));
        this.#ends.push(connect(signal, names, (sent) => receive(sent, atOnce)));
      }
    }
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  /**
   * The signal with this application's names; several observers of one signal are one receiver.
   *
   * @param unreadable called with the error of a payload that cannot be decoded, as another version of the program may send it
   */
  received(
    logged: readonly LoggedSignal[],
    atOnce: boolean,
    unreadable: (error: unknown, signal: string) => void,
  ): readonly SignalSent[] {
    return logged.flatMap(({ names, payload, origin }) => {
      const found = this.#heard.find(
        ({ signal, name, ...each }) =>
          each.atOnce === atOnce &&
          (names.includes(name) || (signal.name !== undefined && names.includes(nameOf(signal.name)))),
      );
      if (!found) return [];
      try {
        const sent = { signal: found.signal, payload: decodePayload(payload), atOnce };
        return origin === undefined ? sent : { ...sent, origin };
      } catch (error) {
        unreadable(error, found.name);
        return [];
      }
    });
  }
}

/** The name in the log, distinct from the ids of observers. */
function nameOf(name: string): string {
  return `signal ${name}`;
}

/**
 * Receives a signal in a process without observers.
 *
 * @param signal a signal with a name
 * @returns a function that ends it
 */
export function hearNamed(signal: AnySignal, receive: (sent: LoggedSignal) => void): () => void {
  return connect(signal as Signal<never>, [nameOf(signal.name ?? '')], receive);
}

function connect(signal: Signal<never>, names: readonly string[], receive: (sent: LoggedSignal) => void): () => void {
  const receiver = (text: unknown): void => {
    const origin = currentWork.getStore()?.id;
    receive({ names, payload: text as string, ...(origin !== undefined && { origin }) });
  };
  signal.connect(receiver, (payload) => encodePayload(payload) as never);
  return () => signal.disconnect(receiver);
}
