import { WebSocket } from 'ws';

/** A client that does one thing and waits to be killed: `doomed-client.js ws://… '{"action": …}'`. */
const [, , url = '', ...frames] = process.argv;
const socket = new WebSocket(url);
socket.on('open', () => {
  for (const frame of frames) socket.send(frame);
  process.send?.({ isOpen: true });
});
