import type { Settings } from 'signalbox';
import { always, answered, given, leftOut } from './faults.js';
import type { Bug, Fault } from './plant.js';

const noLimit = 2_147_483_647;

function limits(change: Partial<Settings['limits']>): Fault {
  return {
    symbol: 'completeSettings',
    with: answered((all: Settings) => ({ ...all, limits: { ...all.limits, ...change } })),
  };
}

/** What can go wrong with frames that come in too fast, and with binary ones. */
export const inboundBugs: readonly Bug[] = [
  {
    name: 'a frame above the rate is handled at once',
    story: 'What a bucket lacks is not looked at.',
    plant: { symbol: 'TokenBucket.waitFor', with: always(0) },
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a client that floods the server is read and kept',
    story: 'The socket is not paused.',
    plant: { symbol: 'WebSocketTransport.pause', with: leftOut },
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'a client stays unread for as long as it has sent too much',
    story: 'limits.pauseTime does not apply.',
    plant: limits({ pauseTime: noLimit }),
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'each connection of an address has rates of its own',
    story: 'limits.addressMessagesPerSecond and addressBytesPerSecond do not apply.',
    plant: limits({ addressMessagesPerSecond: noLimit, addressBytesPerSecond: noLimit }),
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'an address takes the process by frames that are dear to read',
    story: 'A frame of many small values counts for its bytes.',
    plant: { symbol: 'ConnectionSlot.chargeWork', with: leftOut },
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'a client that is read later is cut for not answering a ping',
    story: 'The heartbeat does not know that the socket is paused.',
    plant: { symbol: 'Connection.isPaused', with: always(false) },
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'a client pays for the pings of the server',
    story: 'All pongs count, also those that the heartbeat asked for.',
    plant: {
      symbol: 'Connection.onPong',
      with: (original: (mark: string, bytes: number) => void) =>
        function (this: { onControl(bytes: number): void }, mark: string, bytes: number): void {
          this.onControl(bytes);
          original.call(this, mark, bytes);
        },
    },
    caughtBy: ['server/rate-limit'],
  },
  {
    name: 'a connection whose disconnect hook runs long counts as dead',
    story: 'The heartbeat pings sockets that have closed.',
    plant: { symbol: 'Connection.isClosed', with: always(false) },
    caughtBy: ['server/heartbeat'],
  },
  {
    name: 'whoever closes the conversation may send as much as the network carries',
    story: 'What comes behind the end is read and dropped without a limit.',
    plant: { symbol: 'InboundFrames.receiveIgnored', with: leftOut },
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'an upload loses frames while its consumer is busy',
    story: 'Nobody looks whether there is room for a binary frame before it is taken.',
    plant: { symbol: 'Connection.limitOfBinary', with: always(undefined) },
    caughtBy: ['server/inbound-frames'],
  },
  {
    name: 'binary frames come from another stream than the one that sent them',
    story: 'The name is that of the first stream.',
    plant: { symbol: 'encodeBinary', with: given((_: string, data: Uint8Array) => ['left', data]) },
    caughtBy: ['server/binary-frames'],
  },
];
