import { BlockList, isIP } from 'node:net';
import type { HandshakeRequest } from '../scope/scope.js';
import { unixPeer } from '../settings.js';

/** A request with what trusted proxies say of its client. */
export interface ClientRequest extends HandshakeRequest {
  readonly encrypted: boolean;
  /** What the limits of its address are counted by; undefined where it has none. */
  readonly network: string | undefined;
}

/** The other end of a socket. */
export interface Peer {
  /** Without port and brackets; undefined where the socket has none any more. */
  readonly address: string | undefined;
  /** What the limits of its address are counted by; undefined where it has none. */
  readonly network: string | undefined;
  /** Whether it is a proxy whose headers count. */
  readonly isTrusted: boolean;
}

/**
 * The address, host and protocol of a request's client. A client may write what it likes into `X-Forwarded-*`, so these headers count only where
 * a trusted proxy opened the socket.
 */
export class TrustedProxies {
  /** Undefined where none is listed: most applications trust nobody, and a list is searched for each socket. */
  readonly #networks: BlockList | undefined;
  readonly #trustsUnix: boolean;

  /** @param proxies addresses and networks, such as `10.0.0.0/8`, and `unix:` for clients that come over a Unix socket */
  constructor(proxies: readonly string[]) {
    this.#trustsUnix = proxies.includes(unixPeer);
    const networks = proxies.filter((one) => one !== unixPeer);
    this.#networks = networks.length === 0 ? undefined : listOf(networks);
  }

  /** The request as the client made it: with its address, and the host and the protocol that it used. */
  seenThrough(request: HandshakeRequest): ClientRequest {
    const { headers, encrypted = false } = request;
    const peer = this.peer(request.remoteAddress);
    const host = hostIn(headers['host']) ?? request.host;
    if (!peer.isTrusted) return clientRequest(request, peer.address, peer.network, host, encrypted);
    const address = this.#clientBehind(peer.address, headers);
    return clientRequest(
      request,
      address,
      networkOf(address),
      hostIn(headers['x-forwarded-host']) ?? host,
      isEncrypted(headers['x-forwarded-proto']) ?? encrypted,
    );
  }

  peer(remoteAddress: string | undefined): Peer {
    if (remoteAddress === undefined) return { address: undefined, network: undefined, isTrusted: false };
    const address = plainAddress(remoteAddress);
    return { address, network: networkOf(address), isTrusted: this.#trusts(address) };
  }

  /** @param address as `plainAddress` gives it */
  #trusts(address: string): boolean {
    if (address === unixPeer) return this.#trustsUnix;
    if (!this.#networks) return false;
    const family = isIP(address);
    return family !== 0 && this.#networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }

  /** Each proxy adds its own client at the end, so the list is read from there, as far as trusted proxies reach. */
  #clientBehind(proxy: string | undefined, headers: HandshakeRequest['headers']): string | undefined {
    let client = proxy;
    for (const before of valuesOf(headers['x-forwarded-for']).toReversed()) {
      const next = plainAddress(before);
      if (isIP(next) === 0) return client;
      client = next;
      if (!this.#trusts(next)) return client;
    }
    return client;
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Made once for each handshake, and all of one shape. */
function clientRequest(
  { url, headers }: HandshakeRequest,
  remoteAddress: string | undefined,
  network: string | undefined,
  host: string | undefined,
  encrypted: boolean,
): ClientRequest {
  return {
    url,
    headers,
    encrypted,
    network,
    ...(remoteAddress !== undefined && { remoteAddress }),
    ...(host !== undefined && { host }),
  };
}

/** The last of several values counts, because the proxy that opened the socket wrote it. Undefined where it is no host. */
function hostIn(header: string | string[] | undefined): string | undefined {
  const host = valuesOf(header).at(-1);
  if (host === undefined || !/^[\w.[\]:-]+$/.test(host)) return undefined;
  // It may stand between `https://` and the path of a URL.
  return URL.canParse(`http://${host}/`) ? host : undefined;
}

/** Some proxies say `wss` of an upgrade. Undefined where nothing known is said. */
function isEncrypted(header: string | string[] | undefined): boolean | undefined {
  const protocol = valuesOf(header).at(-1)?.toLowerCase();
  if (protocol === 'https' || protocol === 'wss') return true;
  return protocol === 'http' || protocol === 'ws' ? false : undefined;
}

const none: readonly string[] = [];

function valuesOf(header: string | string[] | undefined): readonly string[] {
  if (header === undefined) return none;
  if (typeof header === 'string' && !header.includes(',')) return [header.trim()];
  return [header].flat().flatMap((line) => line.split(',').map((value) => value.trim()));
}

/** An IPv4 address that a server for both sees as `::ffff:192.0.2.1`; some proxies add a port, or brackets. */
function plainAddress(address: string): string {
  if (isIP(address) === 4) return address;
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(address) ?? [];
  const [, beforePort] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address) ?? [];
  const bare = bracketed ?? beforePort ?? address;
  return bare.toLowerCase().startsWith('::ffff:') && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}

/** What limits of an address are counted by: a client that has one IPv6 address has the 2^64 beside it. */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined || isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%', 1).join('').toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  const groups = [...front, ...zeros, ...back].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
