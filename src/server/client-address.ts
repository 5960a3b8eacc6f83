import { BlockList, isIP } from 'node:net';
import type { HandshakeRequest } from '../scope/scope.js';

/**
 * Where a request came from. A client may write what it likes into X-Forwarded-For; each proxy adds at the end where
 * its own client came from. So the list is read from its end, and only as far as proxies that are trusted reach.
 */
export class ClientAddresses {
  readonly #trusted = new BlockList();

  /** @param proxies addresses and networks, such as `10.0.0.0/8` */
  constructor(proxies: readonly string[]) {
    for (const proxy of proxies) {
      const [address = '', prefix] = proxy.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  /** Undefined over a transport that has none. */
  of({ remoteAddress, headers }: HandshakeRequest): string | undefined {
    if (remoteAddress === undefined) return undefined;
    const forwarded = [headers['x-forwarded-for'] ?? ''].flat().join(',').split(',');
    let address = plain(remoteAddress);
    for (const before of forwarded.toReversed()) {
      const next = plain(before.trim());
      if (!this.#isTrusted(address) || isIP(next) === 0) return address;
      address = next;
    }
    return address;
  }

  /** The address of a socket, unless it is a trusted proxy's. */
  ofClient(remoteAddress: string | undefined): string | undefined {
    const address = remoteAddress && plain(remoteAddress);
    return address && !this.#isTrusted(address) ? address : undefined;
  }

  #isTrusted(address: string): boolean {
    return isIP(address) !== 0 && this.#trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

/** An IPv4 address that a server for both sees as `::ffff:192.0.2.1`; some proxies add a port, or brackets. */
function plain(address: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(address) ?? [];
  const [, beforePort] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address) ?? [];
  const bare = bracketed ?? beforePort ?? address;
  return bare.toLowerCase().startsWith('::ffff:') && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}
