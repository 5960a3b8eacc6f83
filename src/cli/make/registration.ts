/** An edit of a source file. It returns undefined if the file is not written in the template's form. */
export type Edit = (text: string) => string | undefined;

/** Adds an import after the last one. */
export function withImport(text: string, statement: string): string {
  if (text.includes(statement)) return text;
  const last = [...text.matchAll(/^import\b[^;]*;\n/gm)].at(-1);
  const at = last ? last.index + last[0].length : 0;
  return `${text.slice(0, at)}${statement}\n${text.slice(at)}`;
}

/**
 * Adds an element to a literal list: `entities = [Task]` or `demultiplexer({ tasks: TaskConsumer })`.
 *
 * @param opening the beginning of the list, which has to occur once
 * @returns undefined if the list is not found, or is not flat
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

/** The index of the bracket that closes the one opened before `start`. */
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
