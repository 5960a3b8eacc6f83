/** What one round measured of each server, by the server's name. */
export type Round = ReadonlyMap<string, number>;

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly rounds: readonly Round[];
}

/** A Markdown table: figures of the first column's server, and how many times as much it takes as each other one. */
export function table(rows: readonly Row[], ours: string, peers: readonly string[]): string {
  const head = ['work', ours, ...peers];
  const lines = rows.map(({ name, unit, rounds }) => {
    const figures = rounds.flatMap((round) => round.get(ours) ?? []);
    const ratios = peers.map((peer) =>
      spread(
        rounds.flatMap((round) => ratio(round, ours, peer)),
        '',
      ),
    );
    return [name, spread(figures, unit), ...ratios];
  });
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function ratio(round: Round, ours: string, peer: string): number[] {
  const [mine, other] = [round.get(ours), round.get(peer)];
  return mine === undefined || other === undefined ? [] : [mine / other];
}

/** Median, and from the least to the most. */
function spread(values: readonly number[], unit: string): string {
  if (values.length === 0) return '–';
  const sorted = values.toSorted((one, other) => one - other);
  const [least, most] = [sorted[0] ?? 0, sorted.at(-1) ?? 0];
  return `${short(median(sorted))}${unit && ` ${unit}`} (${short(least)}–${short(most)})`;
}

function median(sorted: readonly number[]): number {
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}

/** Two digits that say something, or three. */
function short(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
