/** The two parts of what a client asks for, `/ws/chat/?room=1`; the query is empty where there is none. */
export function pathAndQuery(url: string): readonly [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark === -1 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** Without the query, where tickets stand: it is what logs show. */
export function pathOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const [path] = pathAndQuery(url);
  return path;
}
