import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeSession, ScopeUser } from '../scope/scope-types.js';
import type { App } from '../server/app.js';
import type { Route } from '../server/routes.js';
import { decodeBinary, encodeBinary } from '../wire/binary.js';
import type { ReplyFrame } from '../wire/messages.js';
import { MemoryTransport } from './memory-transport.js';
import { type ConsumerView, TestChannel } from './test-channel.js';

/** Options of `connect`: the handshake of a test, and facts of its scope that no middleware has to find. */
export interface ConnectOptions {
  /** Becomes `scope.user`, whatever the middleware says. */
  readonly user?: ScopeUser;
  /** Becomes `scope.session`, whatever the middleware says. */
  readonly session?: ScopeSession;
  /** Becomes `scope.identity`, whatever the middleware says. */
  readonly identity?: Identity;
  /** The headers of the handshake; their names may be in any case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The subprotocols that the client offers, the preferred one first. */
  readonly subprotocols?: readonly string[];
  /** Cookies by name. Values are escaped in the way that Signalbox reads them. */
  readonly cookies?: Readonly<Record<string, string>>;
  /** Sets any other fact of the scope. */
  readonly prepare?: (scope: Scope) => void;
}

interface Envelope {
  readonly stream: string | null;
  readonly payload: ReplyFrame;
}

/** The streams of an API; any text if its type is unknown. */
export type TestStream<Api> = unknown extends Api ? string : Api extends ConsumerView ? never : keyof Api & string;

/**
 * The client's end of one connection; behind a demultiplexer, `channel(stream)` is the end of one stream.
 *
 * @typeParam Api the type of the application, `AppApi<typeof app>`. Without it, requests and replies are not typed.
 */
export class TestConnection<Api = unknown>
  extends TestChannel<Api extends ConsumerView ? Api : unknown>
  implements AsyncDisposable
{
  readonly #transport: MemoryTransport;
  readonly #channels: Map<string, TestChannel>;
  /** The subprotocol that the server chose; undefined if it chose none. */
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

  /**
   * Resolves when the server has released the connection: the disconnect hooks of its consumers have run, and its providers are disposed.
   */
  get ended(): Promise<void> {
    return this.#ended();
  }

  /** The channel of one stream, which wraps and unwraps payloads. */
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

  /** Sends a text unchanged, for example one that is no JSON. */
  sendText(text: string): void {
    this.#transport.receiveText(text);
  }

  /** Stops reading: the server's frames wait. */
  freeze(): void {
    this.#transport.freeze();
  }

  /** Reads again, and receives everything that waits. */
  thaw(): void {
    this.#transport.thaw();
  }

  /** Loses the network silently: the client neither reads nor answers pings. */
  die(): void {
    this.#transport.die();
  }

  /** Closes the socket from the client's side. Default code: 1000. */
  close(code = 1000): void {
    this.#transport.receiveClose(code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#ended();
  }
}

/**
 * Connects a spec to an application, without a port. Frames are encoded as on a network, and the handshake runs all checks of a real one.
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
 * @throws ApiError if the handshake is refused
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

/** A frame of a stream that the spec has not opened goes to the connection, with its envelope. */
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
