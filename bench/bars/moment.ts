/** Milliseconds of a clock that all processes of one machine share, and nobody sets. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
