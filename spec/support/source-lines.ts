import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, relative, resolve } from 'node:path';

const maps = new Map<string, SourceMap | undefined>();

/** A place in compiled code, as stack traces name it: a URL or a path, line and column. */
const place = /(?:file:\/\/)?([^\s()]+\.js):(\d+):(\d+)/g;

/**
 * A stack trace with the lines of the sources, as `node --enable-source-maps` would have it. Node then does that work for each stack
 * that is looked at, and reads the map of each module: a tenth of the time of all specs.
 */
export function withSourceLines(stack: string): string {
  return stack.replaceAll(place, (compiled: string, path: string, line: string, column: string) => {
    const found = mapOf(resolve(path))?.findOrigin(Number(line), Number(column));
    if (found === undefined || !('fileName' in found)) return compiled;
    const source = resolve(dirname(path), found.fileName);
    return `${relative(process.cwd(), source)}:${found.lineNumber}:${found.columnNumber}`;
  });
}

function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path)) maps.set(path, readMap(path));
  return maps.get(path);
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
  } catch {
    return undefined;
  }
}

/** The same for an error, and for what has caused it. */
export function showSourceLines(error: unknown): void {
  if (!(error instanceof Object)) return;
  const { stack, cause } = error as { readonly stack?: unknown; readonly cause?: unknown };
  if (typeof stack === 'string') Object.assign(error, { stack: withSourceLines(stack) });
  if (cause !== error) showSourceLines(cause);
}
