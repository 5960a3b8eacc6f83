import { BlockList, isIP } from 'node:net';
import type { PlainRequest } from '../server/app-explorer.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether a request comes from a browser on this machine. Its Host header must name this machine too: otherwise a page of another name that
 * resolves to this machine (DNS rebinding) could read the answer. A request through a proxy counts as one from another machine.
 */
export function isOnThisMachine({ headers, socket }: PlainRequest): boolean {
  if (headers['x-forwarded-for'] !== undefined || headers['forwarded'] !== undefined) return false;
  return isLoopback(socket.remoteAddress ?? '') && isLocalName(hostnameOf(String(headers['host'] ?? '')));
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  const version = isIP(plain);
  return version !== 0 && loopback.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

function isLocalName(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || isLoopback(hostname);
}

/** The name in a Host header: `[::1]:8000` -> `::1`. */
function hostnameOf(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}
