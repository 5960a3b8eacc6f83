import { Clock } from '../clock.js';

/** What Node's timers can count. */
const longest = 2_147_483_647;

/** The time of the machine, for what has to end although nobody moves the clock of the application. */
export const machineClock = new Clock();

/** Whether the work is settled before so many milliseconds have passed. Somebody waits for it: the process stays alive meanwhile. */
export async function settledWithin(work: Promise<unknown>, milliseconds: number, clock: Clock): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = clock.after(milliseconds, () => resolve(false));
  const alive = setInterval(() => {}, longest);
  const settled = Promise.allSettled([work]).then(() => true);
  try {
    return await Promise.race([settled, late]);
  } finally {
    timer.cancel();
    clearInterval(alive);
  }
}
