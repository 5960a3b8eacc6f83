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
  /** What its address is counted by; undefined where it has none. */
  readonly network: string | undefined;
  /** Requests whose bytes have all come and that are being answered. */
  answering: number;
  /** Whether it may be cut for others: it is limited, no trusted proxy's, and not upgraded. */
  mayWait: boolean;
  isUpgraded: boolean;
  /** Whether it counts among those for which there have to be file descriptors. */
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
 * The sockets of HTTP servers: whose they are, and how many of them may wait. A socket waits while its client owes a request, or
 * the rest of one. Where too many wait, the one that has waited longest is cut: clients that have something to say say it at once.
 */
export class HttpSockets {
  readonly #sockets = new WeakMap<object, OpenSocket>();
  /** The sockets that wait, the longest first: all of them, and those of each network. */
  readonly #waiting = new Set<OpenSocket>();
  readonly #waitingOf = new Map<string, Set<OpenSocket>>();
  #open = 0;
  #upgraded = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;
  /** How many file descriptors were in use for other things than these sockets, and when that was counted. */
  #others = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly limits: Limits,
    private readonly descriptors: Descriptors,
    private readonly proxies: TrustedProxies,
    private readonly clock: Clock,
    private readonly counters: Counters,
    private readonly logger: Logger,
  ) {}

  /**
   * Watches the sockets of a server from now on.
   *
   * @param isLimited false where all of them may wait
   * @returns what ends it; undefined for a server that is neither of `node:http` nor of `node:https`
   */
  watch(server: object, isLimited: boolean): (() => void) | undefined {
    if (!isNodes(server)) return undefined;
    if (isLimited && this.descriptors.limit !== Number.POSITIVE_INFINITY) this.#countOthers();
    const isSecure = server instanceof HttpsServer;
    /** Of a server with TLS, those whose TLS is not there yet: it brings an object of its own for the same socket. */
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

  /** The socket belongs to a protocol from now on that has limits of its own. */
  upgraded(socket: Duplex): void {
    const known = this.#sockets.get(socket);
    if (!known || known.isUpgraded) return;
    known.isUpgraded = true;
    if (known.isLimited) this.#upgraded += 1;
    this.#release(known);
  }

  /** @throws Overloaded where connections have the file descriptors that they may have */
  checkRoom(socket: Duplex): void {
    if (!this.#sockets.get(socket)?.isLimited || this.#upgraded <= this.#room().connections) return;
    this.#count('descriptors');
    throw new Overloaded(undefined, { retryAfter: 10_000, remedy: remedies.descriptors });
  }

  /**
   * A request as it came through its socket.
   *
   * @param server to which it came; without one, the server has to be watched for a Unix socket to be known
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

  /** @returns undefined where there is no room for it, and none can be made: it is cut */
  #add(socket: Socket, remoteAddress: string | undefined, isLimited: boolean): OpenSocket | undefined {
    if (isLimited && this.#open >= this.#room().sockets) this.#cut(this.#waiting, 'descriptors', socket);
    if (socket.destroyed) return undefined;
    const { address: peer, network, isTrusted } = this.proxies.peer(remoteAddress);
    const mayWait = isLimited && !isTrusted;
    const added: OpenSocket = { socket, peer, network, answering: 0, mayWait, isUpgraded: false, isLimited };
    this.#sockets.set(socket, added);
    if (!isLimited) return added;
    this.#open += 1;
    socket.once('close', () => {
      this.#open -= 1;
      if (added.isUpgraded) this.#upgraded -= 1;
      this.#release(added);
    });
    this.#wait(added);
    return added;
  }

  /** A request with a body is not whole yet: one that never ends would hold its socket for ever. */
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
    if (!one.mayWait || one.socket.destroyed) return;
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

  /** It never waits again. */
  #release(one: OpenSocket): void {
    one.mayWait = false;
    this.#stopWaiting(one);
  }

  #stopWaiting(one: OpenSocket): void {
    this.#waiting.delete(one);
    if (one.network === undefined) return;
    const beside = this.#waitingOf.get(one.network);
    beside?.delete(one);
    if (beside?.size === 0) this.#waitingOf.delete(one.network);
  }

  /** Counting takes a look at all of them, so it is done once a second at most, and not while there are plenty. */
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

  /** Without an answer: it has asked for nothing, and answers would be what a flood costs. @param newest cut where none waits */
  #cut(waiting: ReadonlySet<OpenSocket>, limit: LimitName, newest?: Socket): void {
    const [longest] = waiting;
    if (longest) this.#release(longest);
    (longest?.socket ?? newest)?.destroy();
    this.#count(limit);
    const now = this.clock.elapsed();
    if (now - this.#loggedAt < 1_000) return;
    this.#loggedAt = now;
    this.logger.info('A socket was cut that asked for nothing.', {
      limit,
      address: longest?.peer,
      remedy: remedies[limit],
    });
  }
}

/** What the system says of the file descriptors of this process. */
export interface Descriptors {
  /** How many may be open; Infinity where the system does not say. */
  readonly limit: number;
  /** How many are open now. */
  count(): number;
}

/** For how many sockets, and connections among them, there are file descriptors. */
export interface DescriptorRoom {
  readonly sockets: number;
  readonly connections: number;
}

/** @param free how many file descriptors are not in use for anything but sockets */
export function roomFor({ sockets, freeDescriptors }: Limits, free: number): DescriptorRoom {
  const room = Math.max(16, free - freeDescriptors);
  // Where connections took all of it, nothing could be answered, not even that there is no room.
  return { sockets: room, connections: room - Math.min(sockets, Math.floor(room / 4)) };
}

/** Reads the limit of open files from /proc, which Linux has; Infinity on other systems. */
export function systemDescriptors(): Descriptors {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    // One of them is that of the folder itself.
    return { limit: Number(soft ?? Number.POSITIVE_INFINITY), count: () => readdirSync('/proc/self/fd').length - 1 };
  } catch {
    return { limit: Number.POSITIVE_INFINITY, count: () => 0 };
  }
}

function isNodes(server: object): server is HttpServer | HttpsServer {
  return server instanceof HttpServer || server instanceof HttpsServer;
}

/** The address at the other end of a socket. Of one that is gone, undefined unless it was asked before. */
function peerOf(
  server: object,
  { remoteAddress }: { readonly remoteAddress?: string | undefined },
): string | undefined {
  if (remoteAddress !== undefined) return remoteAddress;
  return isNodes(server) && typeof server.address() === 'string' ? unixPeer : undefined;
}

/** Tells a connection of TCP from every other one that is open. */
function endsOf({ remoteAddress, remotePort, localPort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localPort}`;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
