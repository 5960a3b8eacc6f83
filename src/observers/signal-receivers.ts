import { currentWork } from '../async-context.js';
import type { Signal } from '../signals/signal.js';
import type { SignalSent } from '../signals/signal-sent.js';
import type { Observer } from './observer.js';
import { copyPayload } from './signal-payload.js';

/**
 * Listens to every signal that is observed, or that revokes.
 *
 * @param others that other code hears once they are committed
 * @returns what ends it
 */
export function receiveSignals(
  observers: readonly Observer[],
  others: readonly Signal<never>[],
  receive: (sent: SignalSent) => void,
): () => void {
  const ofOthers = others.map((signal) => ({ signal, atOnce: false }));
  const ofObservers = observers.flatMap((each) => [each, ...each.revocations]).flatMap(({ signal }) => signal ?? []);
  const observed = [...ofObservers, ...ofOthers];
  const ends = [true, false].flatMap((atOnce) => {
    const signals = new Set(observed.filter((each) => each.atOnce === atOnce).map(({ signal }) => signal));
    return [...signals].map((signal) => receiveOne(signal, atOnce, receive));
  });
  return () => {
    for (const end of ends) end();
  };
}

function receiveOne(signal: Signal<never>, atOnce: boolean, receive: (sent: SignalSent) => void): () => void {
  const receiver = (payload: unknown): void => {
    const request = currentWork.getStore()?.id;
    receive({ signal, payload, atOnce, ...(request && { origin: request }) });
  };
  signal.connect(receiver, (payload) => copyPayload(payload) as never);
  return () => signal.disconnect(receiver);
}
