import type { Limits } from 'signalbox';
import { always, answered, given, leftOut, made } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong before a handshake: proxies, Unix sockets, sockets that ask for nothing, and guesses at passwords. */
export const proxyBugs: readonly Bug[] = [
  {
    name: 'a client says itself which address it calls from, and over which host and protocol',
    story: 'X-Forwarded-* is believed, whether or not a trusted proxy wrote it.',
    plant: { symbol: 'TrustedProxies.peer', with: answered((peer: object) => ({ ...peer, isTrusted: true })) },
    caughtBy: ['server/trusted-proxies'],
  },
  {
    name: 'a page that came through a trusted proxy may not connect to its own host',
    story: 'Only the Host header counts, which is the proxy’s.',
    plant: {
      symbol: 'TrustedProxies.seenThrough',
      with: given((request: { readonly headers: object }) => [
        { ...request, headers: { ...request.headers, 'x-forwarded-host': undefined } },
      ]),
    },
    caughtBy: ['server/trusted-proxies'],
  },
  {
    name: 'whoever comes over a Unix socket has no limits by address',
    story: 'A peer without an address counts for none.',
    plant: {
      symbol: 'HttpSockets.requestOf',
      with: answered(({ remoteAddress, ...asked }: { readonly remoteAddress?: string }) =>
        remoteAddress === 'unix:' ? asked : { ...asked, remoteAddress },
      ),
    },
    caughtBy: ['server/trusted-proxies'],
  },
  {
    name: 'any number of sockets may wait without a handshake',
    story: 'limits.socketsPerAddress and limits.sockets do not apply.',
    plant: {
      symbol: 'HttpSockets',
      with: made((limits: Limits, ...more: readonly unknown[]) => [
        { ...limits, socketsPerAddress: 2_147_483_647, sockets: 2_147_483_647 },
        ...more,
      ]),
    },
    caughtBy: ['server/http-sockets'],
  },
  {
    name: 'the sockets of an HTTP server that is not ours have no limits',
    story: '`attach` listens to upgrades and to nothing else.',
    plant: { symbol: 'HttpSockets.watch', with: always(leftOut()) },
    caughtBy: ['server/http-sockets'],
  },
  {
    name: 'a socket that waited for its handshake counts for ever',
    story: 'Neither its handshake nor its end gives its place back.',
    plant: { symbol: 'HttpSockets.upgraded', with: leftOut },
    caughtBy: ['server/http-sockets'],
  },
  {
    name: 'connections take the last file descriptor',
    story: 'Nothing is left for the database, for files, and for the answer that there is no room.',
    plant: {
      symbol: 'roomFor',
      with: (original: (limits: Limits, free: number) => unknown) => (limits: Limits) =>
        original(limits, Number.POSITIVE_INFINITY),
    },
    caughtBy: ['server/http-sockets'],
  },
  {
    name: 'a password may be guessed as fast as it can be hashed',
    story: 'Attempts are not counted.',
    plant: { symbol: 'Throttle.take', with: leftOut },
    caughtBy: ['throttle'],
  },
];
