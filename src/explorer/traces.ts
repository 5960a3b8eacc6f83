import type { HandshakeRequest } from '../scope/scope.js';
import type { ConnectionState, PlainResponse, WatchedHandshake } from '../server/app-explorer.js';
import { encodeData } from '../wire/codec.js';

/** The mark in a socket's query that names the trace of its page. */
const mark = /([?&])signalbox-explorer=([\da-f]{32})(&|$)/;

/** The most bytes that may wait for a page that does not read; messages beyond them are dropped. */
const longestBacklog = 1_000_000;

interface Trace {
  readonly responses: Set<PlainResponse>;
  /** Returns the state of the connection that the page opened last. */
  inspect: (() => ConnectionState) | undefined;
}

/**
 * Sends messages to the pages of the explorer, each in an answer that stays open (server-sent events). A page makes a random key of 128
 * bits, opens its trace with it, and then marks its sockets with it.
 */
export class Traces {
  readonly #traces = new Map<string, Trace>();
  #isClosed = false;

  open(key: string, response: PlainResponse): void {
    if (!/^[\da-f]{32}$/.test(key) || this.#isClosed) {
      response.writeHead(400, { 'content-type': 'text/plain' });
      response.end('A trace has a key of 32 hexadecimal digits.\n');
      return;
    }
    const trace = this.#traces.get(key) ?? { responses: new Set(), inspect: undefined };
    this.#traces.set(key, trace);
    trace.responses.add(response);
    response.on('close', () => {
      trace.responses.delete(response);
      if (trace.responses.size === 0 && !trace.inspect) this.#traces.delete(key);
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'cross-origin-resource-policy': 'same-origin',
      'x-accel-buffering': 'no',
    });
    // A rebuilt server is back within moments.
    response.write('retry: 500\n\n');
  }

  /** The current state of a page's connection. */
  stateOf(key: string): ConnectionState | undefined {
    return this.#traces.get(key)?.inspect?.();
  }

  tellAll(event: string, data: object): void {
    for (const trace of this.#traces.values()) tell(trace, event, data);
  }

  watch(request: HandshakeRequest): WatchedHandshake | undefined {
    const [, , key = ''] = mark.exec(request.url) ?? [];
    const trace = this.#traces.get(key);
    if (key === '') return undefined;
    const inspect: { current: (() => ConnectionState) | undefined } = { current: undefined };
    return {
      request: { ...request, url: unmarked(request.url) },
      refused: ({ status, errors, code }) => trace && tell(trace, 'refused', { status, errors, code }),
      opened: (state) => {
        if (!trace) return;
        inspect.current = state;
        trace.inspect = state;
        tell(trace, 'opened', {});
      },
      decided: (stream, decision) => trace && tell(trace, 'decided', { stream, ...decision }),
      closed: () => {
        // The page may have opened another connection meanwhile.
        if (!trace || trace.inspect !== inspect.current) return;
        trace.inspect = undefined;
        if (trace.responses.size === 0) this.#traces.delete(key);
      },
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const { responses } of this.#traces.values()) for (const response of responses) response.end();
    this.#traces.clear();
  }
}

function tell({ responses }: Trace, event: string, data: object): void {
  for (const response of responses) {
    if (response.writableLength > longestBacklog) continue;
    response.write(`event: ${event}\ndata: ${encodeData(data)}\n\n`);
  }
}

/** The url without the mark. */
function unmarked(url: string): string {
  return url.replace(mark, (_whole, before: string, _key, after: string) => (after === '&' ? before : ''));
}
