const none: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** The first cookie of a name wins (RFC 6265 gives no order; servers agree on the first). */
export function cookiesOf(header: string | string[] | undefined): Readonly<Record<string, string>> {
  if (header === undefined) return none;
  const cookies: Record<string, string> = Object.create(null);
  for (const pair of [header].flat().join(';').split(';')) {
    const [name, ...rest] = pair.split('=');
    const key = name?.trim();
    if (!key || rest.length === 0 || key in cookies) continue;
    cookies[key] = decoded(
      rest
        .join('=')
        .trim()
        .replace(/^"(.*)"$/, '$1'),
    );
  }
  return cookies;
}

/** As it came where its escapes mean no text, or none that a database takes. */
function decoded(value: string): string {
  try {
    const text = decodeURIComponent(value);
    return text.includes('\0') ? value : text;
  } catch {
    return value;
  }
}
