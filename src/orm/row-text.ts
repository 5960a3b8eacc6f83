/** `(1,"a b",,"")` -> `['1', 'a b', null, '']` */
export function splitRow(text: string): (string | null)[] {
  const parts: (string | null)[] = [];
  let part = '';
  let isQuoted = false;
  let wasQuoted = false;
  for (let at = 1; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (isQuoted) {
      if (char === '\\') part += text.charAt(++at);
      else if (char !== '"') part += char;
      else if (text.charAt(at + 1) === '"') part += text.charAt(++at);
      else isQuoted = false;
    } else if (char === '"') isQuoted = wasQuoted = true;
    else if (char === ',' || char === ')') {
      parts.push(part === '' && !wasQuoted ? null : part);
      part = '';
      wasQuoted = false;
    } else part += char === '\\' ? text.charAt(++at) : char;
  }
  return parts;
}
