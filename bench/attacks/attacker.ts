import { connect } from 'node:net';
import { upgradeRequest } from '../../spec/support/sockets.js';
import { attacks } from './attacks.js';

/** One address that sends as fast as the server reads, on many connections, and comes back at once where it is cut. */
const [, , port = '', name = '', connections = '50'] = process.argv;
const attack = attacks[name];
if (!attack) throw new Error(`There is no attack "${name}".`);
const totals = { opened: 0, refused: 0, megabytes: 0 };

function flood(bytes: Buffer): void {
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.1' });
  let isOpen = false;
  const send = (): void => {
    while (socket.writable && socket.write(bytes)) totals.megabytes += bytes.length / 1e6;
  };
  socket.on('error', () => {});
  socket.on('connect', () => socket.write(upgradeRequest('/')));
  socket.on('drain', send);
  socket.on('data', (data) => {
    if (isOpen) return;
    isOpen = data.includes(' 101 ');
    if (!isOpen) {
      totals.refused += 1;
      socket.destroy();
      return;
    }
    totals.opened += 1;
    send();
  });
  socket.on('end', () => socket.destroy());
  socket.on('close', () => setTimeout(() => flood(bytes), isOpen ? 20 : 300));
}

for (let each = 0; each < Number(connections); each += 1) setTimeout(() => flood(attack), each * 10);
process.on('disconnect', () => process.exit());
process.on('message', () => process.send?.(totals));
process.send?.(null);
