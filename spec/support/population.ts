/**
 * A spec that repeats something (rounds, generated examples) finds most faults early. `npm test` repeats it a quarter as often as
 * `npm run test:all`, which is what CI runs.
 */
export const isWholeRun = process.env['SIGNALBOX_SPECS'] === 'all';

/** @param whole how often `npm run test:all` repeats it */
export function population(whole: number): number {
  return isWholeRun ? whole : Math.ceil(whole / 4);
}
