import type { ClientClock, ClientTimer } from './client-options.js';

/** Sets the timer. Without a callback it only clears the timer. */
export type Alarm = (callback?: (() => void) | 0, delay?: number) => void;

/** Makes one timer: setting it again replaces the earlier callback. */
export function createAlarm(clock: ClientClock): Alarm {
  let timer: ClientTimer | 0 | undefined;
  return (callback, delay = 0) => {
    if (timer) timer.cancel();
    timer = callback && clock.after(delay, callback);
  };
}
