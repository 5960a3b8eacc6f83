import type { ClientClock, ClientTimer } from './client-options.js';

/** Without a callback there is nothing to wait for. */
export type Alarm = (callback?: (() => void) | 0, delay?: number) => void;

/** One timer: to set it is to forget what it was set to before. */
export function createAlarm(clock: ClientClock): Alarm {
  let timer: ClientTimer | 0 | undefined;
  return (callback, delay = 0) => {
    if (timer) timer.cancel();
    timer = callback && clock.after(delay, callback);
  };
}
