/** A spec that repeats something (rounds, generated examples) finds most faults early: the whole number is for CI and `npm test -- --all`. */
const isWholeRun = process.env['SIGNALBOX_SPECS'] === 'all';

/** @param whole how often CI repeats it */
export function population(whole: number): number {
  return isWholeRun ? whole : Math.ceil(whole / 4);
}
