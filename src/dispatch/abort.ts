/**
 * Settles with the work, or rejects with the signal's reason as soon as it is aborted. The work itself cannot be stopped:
 * what becomes of it afterwards is told to `late`.
 */
export function untilAborted<T>(signal: AbortSignal, work: Promise<T>, late: (error: unknown) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let isAborted = false;
    const abort = (): void => {
      isAborted = true;
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work
      .then(resolve, (error) => (isAborted ? late(error) : reject(error)))
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
