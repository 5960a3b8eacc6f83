import { readdirSync, readFileSync } from 'node:fs';
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import { Overloaded } from '../errors.js';
import type { Logger } from '../logger.js';
import type { HandshakeRequest } from '../scope/scope.js';
import { type Limits, unixPeer } from '../settings.js';
import type { Counters } from '../telemetry.js';
import type { PlainRequest, RequestClient } from './app-explorer.js';
import type { TrustedProxies } from './trusted-proxies.js';

/** A socket of an HTTP server, from its first byte to its end. */
interface OpenSocket {
  readonly socket: Socket;
  readonly peer: string | undefined;
  /** The key by which its address is counted; undefined if it has none. */
  readonly network: string | undefined;
  /** The number of complete requests that are being answered. */
  answering: number;
  /** Whether it may be cut to make room for others: it is limited, does not come from a trusted proxy, and is not upgraded. */
  mayBeCut: boolean;
  isUpgraded: boolean;
  /** Whether it counts among the sockets for which there must be file descriptors. */
  readonly isLimited: boolean;
}

type LimitName = 'address_sockets' | 'sockets' | 'descriptors';

const remedies: Readonly<Record<LimitName, string>> = {
  address_sockets:
    'Raise settings.limits.socketsPerAddress, or name the address in settings.trustedProxies if it is a proxy.',
  sockets: 'Raise settings.limits.sockets.',
  descriptors: 'Let the process open more files: ulimit -n.',
};

/**
 * The sockets of HTTP servers by address, with limits for waiting ones. A socket waits while none of its requests is being answered: its
 * client has sent no complete request, or keeps the socket for a later one. If too many wait, the one that has waited longest is cut, because
 * honest clients send their requests at once, and open another socket for a later one.
 */
export class HttpSockets {
  readonly #sockets = new WeakMap<object, OpenSocket>();
  /** The waiting sockets, the longest first: all of them, and those of each network. */
  readonly #waiting = new Set<OpenSocket>();
  readonly #waitingOf = new Map<string, Set<OpenSocket>>();
  #open = 0;
  #upgraded = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;
  /** The number of file descriptors in other use than for these sockets, and when they were counted. */
  #others = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** Listens to all sockets: a listener for each would take 280 bytes of every connection. */
  readonly #closed: (this: Socket) => void;

  constructor(
    private readonly limits: Limits,
    private readonly descriptors: Descriptors,
    private readonly proxies: TrustedProxies,
    private readonly clock: Clock,
    private readonly counters: Counters,
    private readonly logger: Logger,
  ) {
    const forget = (socket: Socket): void => this.#forget(socket);
    this.#closed = function closed() {
      forget(this);
    };
  }

  /**
   * Watches the sockets of a server.
   *
   * @param isLimited false if any number of them may wait
   * @returns a function that ends it; undefined for a server that is neither of `node:http` nor of `node:https`
   */
  watch(server: object, isLimited: boolean): (() => void) | undefined {
    if (!isNodes(server)) return undefined;
    if (isLimited && this.descriptors.limit !== Number.POSITIVE_INFINITY) this.#countOthers();
    const isSecure = server instanceof HttpsServer;
    /** On a server with TLS, sockets without TLS yet: it makes another object for the same socket. */
    const unsecured = new Map<string, OpenSocket>();
    const connected = (socket: Socket): void => {
      const added = this.#add(socket, peerOf(server, socket), isLimited);
      const ends = isSecure ? endsOf(socket) : undefined;
      if (!added || ends === undefined) return;
      unsecured.set(ends, added);
      socket.once('close', () => unsecured.delete(ends));
    };
    const secured = (socket: Socket): void => {
      const known = unsecured.get(endsOf(socket) ?? '');
      if (known) this.#sockets.set(socket, known);
    };
    const asked = (request: IncomingMessage, response: ServerResponse): void => this.#asked(request, response);
    server.on('connection', connected).on('secureConnection', secured).on('request', asked);
    return () => void server.off('connection', connected).off('secureConnection', secured).off('request', asked);
  }

  /** Called when a protocol with limits of its own has taken over the socket. */
  upgraded(socket: Duplex): void {
    const known = this.#sockets.get(socket);
    if (!known || known.isUpgraded) return;
    known.isUpgraded = true;
    if (known.isLimited) this.#upgraded += 1;
    this.#release(known);
  }

  /** @throws Overloaded if connections already use all file descriptors allowed to them */
  checkRoom(socket: Duplex): void {
    if (!this.#sockets.get(socket)?.isLimited || this.#upgraded <= this.#room().connections) return;
    this.#count('descriptors');
    throw new Overloaded(undefined, { retryAfter: 10_000, remedy: remedies.descriptors });
  }

  /**
   * A request with the facts of its socket.
   *
   * @param server that received it; without it, a Unix socket is only known if the server is watched
   */
  requestOf({ url = '/', headers, socket }: PlainRequest, server: object = {}): HandshakeRequest {
    const remoteAddress = this.#sockets.get(socket)?.peer ?? this.proxies.peer(peerOf(server, socket)).address;
    const encrypted = 'encrypted' in socket && socket.encrypted === true;
    return { url, headers, encrypted, ...(remoteAddress !== undefined && { remoteAddress }) };
  }

  clientOf(request: PlainRequest): RequestClient {
    const seen = this.proxies.seenThrough(this.requestOf(request));
    return {
      address: seen.remoteAddress,
      network: seen.network ?? 'unknown',
      host: seen.host,
      protocol: seen.encrypted ? 'https' : 'http',
    };
  }

  /** @returns undefined if there is no room for it: then it is cut */
  #add(socket: Socket, remoteAddress: string | undefined, isLimited: boolean): OpenSocket | undefined {
    if (isLimited && this.#open >= this.#room().sockets) this.#cut(this.#waiting, 'descriptors', socket);
    if (socket.destroyed) return undefined;
    const { address: peer, network, isTrusted } = this.proxies.peer(remoteAddress);
    const mayBeCut = isLimited && !isTrusted;
    const added: OpenSocket = { socket, peer, network, answering: 0, mayBeCut, isUpgraded: false, isLimited };
    this.#sockets.set(socket, added);
    if (!isLimited) return added;
    this.#open += 1;
    socket.on('close', this.#closed);
    this.#wait(added);
    return added;
  }

  /** Called when a limited socket has closed. */
  #forget(socket: Socket): void {
    const known = this.#sockets.get(socket);
    if (!known) return;
    this.#open -= 1;
    if (known.isUpgraded) this.#upgraded -= 1;
    this.#release(known);
  }

  /** Counts a request. One with a body is not complete yet: a body that never ends would hold its socket for ever. */
  #asked(request: IncomingMessage, response: ServerResponse): void {
    const known = this.#sockets.get(request.socket);
    if (!known) return;
    let isWhole = false;
    const whole = (): void => {
      isWhole = true;
      known.answering += 1;
      this.#stopWaiting(known);
    };
    if (hasBody(request)) request.once('end', whole);
    else whole();
    response.once('close', () => {
      request.off('end', whole);
      if (isWhole) known.answering -= 1;
      if (known.answering === 0) this.#wait(known);
    });
  }

  #wait(one: OpenSocket): void {
    if (!one.mayBeCut || one.socket.destroyed) return;
    this.#stopWaiting(one);
    this.#waiting.add(one);
    if (one.network !== undefined) this.#waitBesideItsNetwork(one, one.network);
    if (this.#waiting.size > this.limits.sockets) this.#cut(this.#waiting, 'sockets');
  }

  #waitBesideItsNetwork(one: OpenSocket, network: string): void {
    const { socketsPerAddress, connectionsPerAddress } = this.limits;
    const beside = this.#waitingOf.get(network) ?? new Set();
    this.#waitingOf.set(network, beside.add(one));
    if (beside.size > Math.max(socketsPerAddress, connectionsPerAddress)) this.#cut(beside, 'address_sockets');
  }

  /** Removes a socket from the waiting ones for good. */
  #release(one: OpenSocket): void {
    one.mayBeCut = false;
    this.#stopWaiting(one);
  }

  #stopWaiting(one: OpenSocket): void {
    this.#waiting.delete(one);
    if (one.network === undefined) return;
    const beside = this.#waitingOf.get(one.network);
    beside?.delete(one);
    if (beside?.size === 0) this.#waitingOf.delete(one.network);
  }

  /** The room for sockets. Counting reads all file descriptors, so it runs at most once a second, and not while there are plenty. */
  #room(): DescriptorRoom {
    const { limit } = this.descriptors;
    const isScarce = (this.#open + this.#others + this.limits.freeDescriptors) * 2 > limit;
    if (limit !== Number.POSITIVE_INFINITY && isScarce) this.#countOthers();
    return roomFor(this.limits, limit - this.#others);
  }

  #countOthers(): void {
    const now = this.clock.elapsed();
    if (now - this.#countedAt < 1_000) return;
    this.#countedAt = now;
    this.#others = Math.max(0, this.descriptors.count() - this.#open);
  }

  #count(limit: LimitName): void {
    this.counters.increment('signalbox.limits_reached', { limit });
  }

  /**
   * Cuts a socket without an answer: none of its requests is open, and a flood should not cost answers.
   *
   * @param newest is cut if none waits
   */
  #cut(waiting: ReadonlySet<OpenSocket>, limit: LimitName, newest?: Socket): void {
    const [longest] = waiting;
    if (longest) this.#release(longest);
    (longest?.socket ?? newest)?.destroy();
    this.#count(limit);
    const now = this.clock.elapsed();
    if (now - this.#loggedAt < 1_000) return;
    this.#loggedAt = now;
    this.logger.info('A socket without an open request was closed.', {
      limit,
      address: longest?.peer,
      remedy: remedies[limit],
    });
  }
}

/** The system's facts about the file descriptors of this process. */
export interface Descriptors {
  /** The most that may be open; Infinity if the system does not report it. */
  readonly limit: number;
  /** The number that are open now. */
  count(): number;
}

/** The number of sockets, and of connections among them, for which there are file descriptors. */
export interface DescriptorRoom {
  readonly sockets: number;
  readonly connections: number;
}

/** @param free the number of file descriptors that are only used for sockets, or not at all */
export function roomFor({ sockets, freeDescriptors }: Limits, free: number): DescriptorRoom {
  const room = Math.max(16, free - freeDescriptors);
  // If connections used all of it, the process could not even answer that there is no room.
  return { sockets: room, connections: room - Math.min(sockets, Math.floor(room / 4)) };
}

/** Reads the limit of open files from /proc, which Linux has; Infinity on other systems. */
export function systemDescriptors(): Descriptors {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    // One of them belongs to the folder itself.
    return { limit: Number(soft ?? Number.POSITIVE_INFINITY), count: () => readdirSync('/proc/self/fd').length - 1 };
  } catch {
    return { limit: Number.POSITIVE_INFINITY, count: () => 0 };
  }
}

function isNodes(server: object): server is HttpServer | HttpsServer {
  return server instanceof HttpServer || server instanceof HttpsServer;
}

/** The address at the other end of a socket. If the socket has closed, undefined unless it was read before. */
function peerOf(
  server: object,
  { remoteAddress }: { readonly remoteAddress?: string | undefined },
): string | undefined {
  if (remoteAddress !== undefined) return remoteAddress;
  return isNodes(server) && typeof server.address() === 'string' ? unixPeer : undefined;
}

/** Identifies a TCP connection among all open ones. */
function endsOf({ remoteAddress, remotePort, localPort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localPort}`;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
