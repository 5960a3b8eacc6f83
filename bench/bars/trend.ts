export interface Sample {
  /** In hours. */
  readonly at: number;
  readonly value: number;
}

/** By how much values rise in an hour, by least squares, and how far that may be off by chance: its standard error. */
export function slopeOf(samples: readonly Sample[]): { readonly slope: number; readonly error: number } {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [at, value] = [mean(samples.map((sample) => sample.at)), mean(samples.map((sample) => sample.value))];
  const spread = samples.reduce((sum, sample) => sum + (sample.at - at) ** 2, 0);
  const slope = samples.reduce((sum, sample) => sum + (sample.at - at) * (sample.value - value), 0) / spread;
  const off = samples.reduce((sum, sample) => sum + (sample.value - value - slope * (sample.at - at)) ** 2, 0);
  return { slope, error: Math.sqrt(off / Math.max(1, samples.length - 2) / spread) };
}
