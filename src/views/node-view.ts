import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as sendRequest,
} from 'node:http';
import { type Duplex, duplexPair, Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { toResponse } from './inject-view.js';
import type { View, ViewFacts } from './view.js';

/**
 * A handler that `http.createServer` takes, such as an Express application. It has its own type parameters for request and response, so
 * that Node's types are no part of a client's inferred type.
 */
export type NodeHandler<Incoming = never, Outgoing = never> = (request: Incoming, response: Outgoing) => unknown;

/**
 * A view of a request handler of Node. The handler receives real requests from a server of its own, which listens to no port.
 *
 * ```ts
 * const app = express();
 * viewAsConsumer(nodeView(app), { retrieve: route('GET /rooms/:pk') })
 * ```
 */
export function nodeView<Incoming, Outgoing>(handler: NodeHandler<Incoming, Outgoing>): View {
  const handle = handler as unknown as NodeHandler<IncomingMessage, ServerResponse>;
  const server = createServer((request, response) => {
    // Without this, a handler that rejects would leave its caller waiting.
    void (async () => handle(request, response))().catch((error) => response.destroy(error));
  });
  return async (request, facts) => {
    const body = Buffer.from(await request.arrayBuffer());
    const answer = await ask(server, request, body, facts);
    const response = toResponse(
      answer.statusCode ?? 500,
      answer.headers,
      Readable.toWeb(answer) as ReadableStream<Uint8Array>,
    );
    // A body that is not read would keep the connection open.
    if (!response.body) answer.resume();
    return response;
  };
}

function ask(server: Server, request: Request, body: Buffer, facts: ViewFacts): Promise<IncomingMessage> {
  const { pathname, search, host } = new URL(request.url);
  return new Promise((resolve, reject) => {
    const outgoing = sendRequest({
      createConnection: () => connect(server, facts),
      method: request.method,
      path: `${pathname}${search}`,
      headers: {
        ...Object.fromEntries(request.headers),
        host,
        connection: 'close',
        ...(body.length > 0 && { 'content-length': String(body.length) }),
      },
      signal: request.signal,
    });
    outgoing.once('response', resolve).once('error', reject).end(body);
  });
}

/** Both ends of a connection inside the process. The server's end reports the client's address, and whether the client came over TLS. */
function connect(server: Server, { scope }: ViewFacts): Duplex {
  const [client, served] = duplexPair();
  Object.defineProperty(served, 'remoteAddress', { value: scope.remoteAddress });
  Object.defineProperty(served, 'encrypted', { value: scope.protocol === 'https' });
  server.emit('connection', served);
  return client;
}
