/**
 * The columns of a row in the text that PostgreSQL makes of it, `row(a, b, …)::text`: `(7,"a, b",,"")` is `7`, `a, b`, null and the
 * empty text. Each is the column's own text, as the driver's parsers take it.
 *
 * @param text of a row of one column or more: one of none has the same text as one null
 */
export function splitRow(text: string): (string | null)[] {
  const columns: (string | null)[] = [];
  const end = text.length - 1;
  if (text[0] !== '(' || text[end] !== ')') throw malformed(text);
  for (let at = 1; at <= end; at += 1) {
    if (text[at] === '"') {
      const close = closingQuote(text, at + 1);
      columns.push(unquoted(text.slice(at + 1, close)));
      at = close + 1;
    } else {
      const comma = text.indexOf(',', at);
      const stop = comma === -1 ? end : comma;
      columns.push(stop === at ? null : text.slice(at, stop));
      at = stop;
    }
    if (at !== end && text[at] !== ',') throw malformed(text);
  }
  return columns;
}

/** Where the quoted column that begins at `from` ends: a quote that is not doubled, and has no backslash before it. */
function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '\\') at += 1;
    else if (sign === '"' && text[at + 1] !== '"') return at;
    else if (sign === '"') at += 1;
  }
  throw malformed(text);
}

function unquoted(text: string): string {
  if (!text.includes('"') && !text.includes('\\')) return text;
  return text.replace(/""|\\(.)/gs, (_, escaped: string | undefined) => escaped ?? '"');
}

function malformed(text: string): Error {
  return new Error(`This is no text of a row: ${text.slice(0, 100)}`);
}
