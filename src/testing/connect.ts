import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeSession, ScopeUser } from '../scope/scope-types.js';
import type { App } from '../server/app.js';
import type { Route } from '../server/routes.js';
import { decodeBinary, encodeBinary } from '../wire/binary.js';
import type { ReplyFrame } from '../wire/messages.js';
import { MemoryTransport } from './memory-transport.js';
import { type ConsumerView, TestChannel } from './test-channel.js';

/** Options of `connect`: the handshake of a test, and facts that no middleware has to find. */
export interface ConnectOptions {
  /** Who is logged in, whatever the middleware says. */
  readonly user?: ScopeUser;
  /** Becomes `scope.session`, whatever the middleware says. */
  readonly session?: ScopeSession;
  /** Becomes `scope.identity`, whatever the middleware says. */
  readonly identity?: Identity;
  /** The headers of the handshake; their names may be in any case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What the client offers to speak, the preferred one first. */
  readonly subprotocols?: readonly string[];
  /** By name. Values are escaped as Signalbox reads them. */
  readonly cookies?: Readonly<Record<string, string>>;
  /** Any other fact of the scope. */
  readonly prepare?: (scope: Scope) => void;
}

interface Envelope {
  readonly stream: string | null;
  readonly payload: ReplyFrame;
}

/** The streams of an API; any text where its type is unknown. */
export type TestStream<Api> = unknown extends Api ? string : Api extends ConsumerView ? never : keyof Api & string;

/**
 * The client's end of one connection; behind a demultiplexer, `channel(stream)` is that of one stream.
 *
 * @typeParam Api the type of the application, `AppApi<typeof app>`. Without one, requests and replies are not typed.
 */
export class TestConnection<Api = unknown>
  extends TestChannel<Api extends ConsumerView ? Api : unknown>
  implements AsyncDisposable
{
  readonly #transport: MemoryTransport;
  readonly #channels: Map<string, TestChannel>;
  /** What was agreed on. */
  subprotocol: string | undefined;
  readonly #idle: () => Promise<void>;
  readonly #ended: () => Promise<void>;

  constructor(
    transport: MemoryTransport,
    channels: Map<string, TestChannel>,
    idle: () => Promise<void>,
    ended: () => Promise<void>,
  ) {
    super(
      (payload) => transport.receiveText(JSON.stringify(payload)),
      (data) => transport.receiveBinary(data),
      idle,
    );
    this.#transport = transport;
    this.#channels = channels;
    this.#idle = idle;
    this.#ended = ended;
  }

  /** The close code, once the connection is closed by either end. */
  get closed(): Promise<number> {
    return this.#transport.closed;
  }

  /** Resolves when the server has nothing of the connection left: the disconnect hooks of its consumers ran, its providers are disposed. */
  get ended(): Promise<void> {
    return this.#ended();
  }

  /** One stream: payloads are wrapped and unwrapped. */
  channel<Stream extends TestStream<Api>>(
    stream: Stream,
  ): TestChannel<Stream extends keyof Api ? Api[Stream] : unknown> {
    const existing = this.#channels.get(stream);
    const channel =
      existing ??
      new TestChannel(
        (payload) => this.send({ stream, payload }),
        (data) => this.sendBinary(encodeBinary(stream, data)),
        this.#idle,
      );
    this.#channels.set(stream, channel);
    return channel;
  }

  /** A text frame that is no JSON, say. */
  sendText(text: string): void {
    this.#transport.receiveText(text);
  }

  /** Stops reading: what the server sends waits there. */
  freeze(): void {
    this.#transport.freeze();
  }

  /** Reads again, and gets all that waits. */
  thaw(): void {
    this.#transport.thaw();
  }

  /** Is gone without a word: it neither reads nor answers pings. */
  die(): void {
    this.#transport.die();
  }

  /** The client closes the socket. Default code 1000. */
  close(code = 1000): void {
    this.#transport.receiveClose(code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#ended();
  }
}

/**
 * Connects a spec to an application, without a port. Frames go through JSON as on a network; the handshake asks everything
 * that a real one does.
 *
 * ```ts
 * await using ann = await connect(app, '/ws/chat/', { user });
 * const rooms = ann.channel('rooms');
 * expect(await rooms.request('retrieve', { pk: 1 })).to.include({ response_status: 200 });
 * await rooms.expectSilence();
 * ```
 *
 * With the type of the application, requests and replies are typed:
 *
 * ```ts
 * const ann = await connect<AppApi<typeof app>>(app, '/ws/chat/', { user });
 * const { data } = await ann.channel('rooms').request('retrieve', { pk: 1 });   // { id: number; name: string }
 * ```
 *
 * @throws ApiError where the handshake is refused
 */
export async function connect<Api = unknown>(
  app: App<readonly Route[]>,
  url: string,
  options: ConnectOptions = {},
): Promise<TestConnection<Api>> {
  const channels = new Map<string, TestChannel>();
  const transport: MemoryTransport = new MemoryTransport(
    (text) => sort(JSON.parse(text), channels, connection),
    (frame) => sortBinary(frame, channels, connection),
  );
  const idle = (): Promise<void> => app.idle();
  let ended = Promise.resolve();
  const connection: TestConnection<Api> = new TestConnection<Api>(transport, channels, idle, () => ended);
  await app.start();
  const accepted = await app.accept(
    { url, headers: headersOf(options) },
    ({ subprotocol }) => {
      connection.subprotocol = subprotocol;
      return transport;
    },
    (scope) => prepare(scope, options),
  );
  ended = accepted.closed;
  return connection;
}

/** A frame of a stream that the spec has not opened goes to the connection, envelope and all. */
function sort(
  frame: ReplyFrame | Envelope,
  channels: ReadonlyMap<string, TestChannel>,
  connection: Pick<TestChannel, 'put'>,
): void {
  const envelope = typeof frame === 'object' && frame !== null && 'payload' in frame ? frame : undefined;
  const channel = envelope && channels.get(String(envelope.stream));
  if (channel) channel.put(envelope.payload);
  else connection.put(frame as ReplyFrame);
}

function sortBinary(
  frame: Uint8Array,
  channels: ReadonlyMap<string, TestChannel>,
  connection: Pick<TestChannel, 'binaries'>,
): void {
  const named = channels.size > 0 ? decodeBinary(frame) : undefined;
  const channel = named && channels.get(named.stream);
  if (channel) channel.binaries.push(named.data);
  else connection.binaries.push(frame);
}

function headersOf({ headers = {}, cookies = {}, subprotocols = [] }: ConnectOptions): Record<string, string> {
  const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  if (subprotocols.length > 0) named['sec-websocket-protocol'] = subprotocols.join(', ');
  const pairs = Object.entries(cookies).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  if (named['cookie'] !== undefined) pairs.unshift(named['cookie']);
  return pairs.length === 0 ? named : { ...named, cookie: pairs.join('; ') };
}

function prepare(scope: Scope, { user, session, identity, prepare: more }: ConnectOptions): void {
  if (user !== undefined) scope.user = user;
  if (session !== undefined) scope.session = session;
  if (identity !== undefined) scope.identity = identity;
  more?.(scope);
}
