/** An edit of a source file that may not be possible, because the file is written otherwise than the template's. */
export type Edit = (text: string) => string | undefined;

/** Adds an import behind the last one. */
export function withImport(text: string, statement: string): string {
  if (text.includes(statement)) return text;
  const last = [...text.matchAll(/^import\b[^;]*;\n/gm)].at(-1);
  const at = last ? last.index + last[0].length : 0;
  return `${text.slice(0, at)}${statement}\n${text.slice(at)}`;
}

/**
 * Adds an element to a list that is written out: `entities = [Task]` or `demultiplexer({ tasks: TaskConsumer })`.
 *
 * @param opening what the list begins with; it has to be there once
 * @returns undefined where the list is not found, or is more than a flat one
 */
export function withElement(text: string, opening: RegExp, closing: ']' | '}', element: string): string | undefined {
  const [found, ...others] = [...text.matchAll(new RegExp(opening, 'g'))];
  if (!found || others.length > 0) return undefined;
  const start = found.index + found[0].length;
  const end = endOf(text, start, closing);
  if (end === undefined) return undefined;
  const inside = text.slice(start, end);
  const isOnLines = inside.trimEnd() !== inside && inside.includes('\n');
  const present = inside.trim().replace(/,$/, '');
  const elements = present === '' ? element : `${present},${isOnLines ? `\n${indentOf(inside)}` : ' '}${element}`;
  const written = isOnLines
    ? `\n${indentOf(inside)}${elements},\n${indentOf(inside).slice(2)}`
    : closing === '}'
      ? ` ${elements} `
      : elements;
  return `${text.slice(0, start)}${written}${text.slice(end)}`;
}

/** Where the bracket closes that was opened before `start`. */
function endOf(text: string, start: number, closing: ']' | '}'): number | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === closing && depth === 0) return at;
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (depth < 0) return undefined;
  }
  return undefined;
}

function indentOf(inside: string): string {
  return /\n( *)\S/.exec(inside)?.[1] ?? '';
}
