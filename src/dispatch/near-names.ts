import { toWireName } from '../wire/messages.js';

/**
 * The names that a misspelt one may mean, the nearest first: at most three, each of which differs from it by a third of its
 * letters or less. `markDone` is near to `mark_done`.
 */
export function nearNames(misspelt: string, known: Iterable<string>): readonly string[] {
  const asked = toWireName(misspelt.slice(0, longestName));
  const limit = Math.max(1, Math.floor(asked.length / 3));
  return [...known]
    .map((name) => ({ name, distance: distanceOf(asked, toWireName(name)) }))
    .filter(({ distance }) => distance <= limit)
    .sort((one, other) => one.distance - other.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** The time to compare grows with the square of the letters, and a client chooses how many it sends. */
const longestName = 64;

/** How many letters have to be added, removed, replaced or swapped with their neighbour. */
function distanceOf(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped =
        row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      const replaced = (last[column - 1] ?? 0) + (isSame ? 0 : 1);
      const swapped = isSwapped ? (beforeLast[column - 2] ?? 0) + 1 : replaced;
      current.push(Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, replaced, swapped));
    }
    [beforeLast, last] = [last, current];
  }
  return last.at(-1) ?? 0;
}
