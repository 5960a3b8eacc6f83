import { WebSocket } from 'ws';

/** Four clients, each with an address of its own and 40 requests a second, that measure how long a reply takes. */
const [, , port = ''] = process.argv;
const sentAt = new Map<string, number>();
let taken: number[] = [];
let isLost = false;
let lastId = 0;

function begin(address: string): void {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { localAddress: address });
  socket.on('error', () => {});
  socket.on('close', () => {
    isLost = true;
  });
  socket.on('open', () => setInterval(ask, 25, socket));
  socket.on('message', (data) => {
    const { request_id: id } = JSON.parse(String(data)) as { request_id: string };
    taken.push(performance.now() - (sentAt.get(id) ?? 0));
    sentAt.delete(id);
  });
}

function ask(socket: WebSocket): void {
  const id = String(++lastId);
  sentAt.set(id, performance.now());
  socket.send(JSON.stringify({ action: 'echo', request_id: id, x: 1 }));
}

for (const host of [2, 3, 4, 5]) setTimeout(begin, host * 6, `127.0.0.${host}`);
process.on('disconnect', () => process.exit());
process.on('message', () => {
  // A reply that has not come yet took at least as long as it is waited for.
  const waiting = [...sentAt.values()].map((at) => performance.now() - at);
  const all = [...taken, ...waiting].toSorted((one, other) => one - other);
  const at = (part: number): number => all[Math.floor(all.length * part)] ?? Number.NaN;
  process.send?.({ count: all.length, isLost, p50: at(0.5), p99: at(0.99), worst: all.at(-1) ?? Number.NaN });
  taken = [];
});
process.send?.(null);
