import { BlockList, isIP } from 'node:net';
import type { HandshakeRequest } from '../scope/scope.js';
import { unixPeer } from '../settings.js';

/** A request with what trusted proxies say of its client. */
export interface ClientRequest extends HandshakeRequest {
  readonly encrypted: boolean;
}

/** The other end of a socket. */
export interface Peer {
  /** Without port and brackets; undefined where the socket has none any more. */
  readonly address: string | undefined;
  /** Whether it is a proxy whose headers count. */
  readonly isTrusted: boolean;
}

/**
 * The address, host and protocol of a request's client. A client may write what it likes into `X-Forwarded-*`, so these headers count only where
 * a trusted proxy opened the socket.
 */
export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #trustsUnix: boolean;

  /** @param proxies addresses and networks, such as `10.0.0.0/8`, and `unix:` for clients that come over a Unix socket */
  constructor(proxies: readonly string[]) {
    this.#trustsUnix = proxies.includes(unixPeer);
    for (const proxy of proxies.filter((one) => one !== unixPeer)) {
      const [address = '', prefix] = proxy.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(prefix), family);
    }
  }

  /** The request as the client made it: with its address, and the host and the protocol that it used. */
  seenThrough(request: HandshakeRequest): ClientRequest {
    const { remoteAddress, headers, encrypted = false } = request;
    const peer = this.peer(remoteAddress);
    const said = peer.isTrusted ? headers : {};
    const address = this.#clientBehind(peer, headers);
    const host = hostIn(said['x-forwarded-host']) ?? hostIn(headers['host']);
    return {
      ...request,
      encrypted: isEncrypted(said['x-forwarded-proto']) ?? encrypted,
      ...(host !== undefined && { host }),
      ...(address !== undefined && { remoteAddress: address }),
    };
  }

  peer(remoteAddress: string | undefined): Peer {
    if (remoteAddress === undefined) return { address: undefined, isTrusted: false };
    const address = plainAddress(remoteAddress);
    return { address, isTrusted: this.#trusts(address) };
  }

  /** @param address as `plainAddress` gives it */
  #trusts(address: string): boolean {
    if (address === unixPeer) return this.#trustsUnix;
    return isIP(address) !== 0 && this.#networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }

  /** Each proxy adds its own client at the end, so the list is read from there, as far as trusted proxies reach. */
  #clientBehind({ address, isTrusted }: Peer, headers: HandshakeRequest['headers']): string | undefined {
    if (!isTrusted) return address;
    let client = address;
    for (const before of valuesOf(headers['x-forwarded-for']).toReversed()) {
      const next = plainAddress(before);
      if (isIP(next) === 0) return client;
      client = next;
      if (!this.#trusts(next)) return client;
    }
    return client;
  }
}

/** The last of several values counts, because the proxy that opened the socket wrote it. Undefined where it is no host. */
function hostIn(header: string | string[] | undefined): string | undefined {
  const host = valuesOf(header).at(-1);
  // It may stand between `https://` and the path of a URL.
  return host !== undefined && /^[\w.[\]:-]+$/.test(host) && URL.canParse(`http://${host}/`) ? host : undefined;
}

/** Some proxies say `wss` of an upgrade. Undefined where nothing known is said. */
function isEncrypted(header: string | string[] | undefined): boolean | undefined {
  const protocol = valuesOf(header).at(-1)?.toLowerCase();
  if (protocol === 'https' || protocol === 'wss') return true;
  return protocol === 'http' || protocol === 'ws' ? false : undefined;
}

function valuesOf(header: string | string[] | undefined): readonly string[] {
  return [header ?? ''].flat().flatMap((line) => line.split(',').map((value) => value.trim()));
}

/** An IPv4 address that a server for both sees as `::ffff:192.0.2.1`; some proxies add a port, or brackets. */
function plainAddress(address: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(address) ?? [];
  const [, beforePort] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address) ?? [];
  const bare = bracketed ?? beforePort ?? address;
  return bare.toLowerCase().startsWith('::ffff:') && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}
