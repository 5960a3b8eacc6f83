import { Client } from './client.js';
import { now } from './moment.js';

/** Milliseconds between two requests of a bystander, who does not wait for replies. */
const pace = 5;

interface Order {
  readonly watch: boolean;
}

/**
 * Somebody else, in a process of its own, so that what the load generator is busy with does not count: asks at a steady
 * pace, and tells what every reply took while it was told to watch.
 */
const [, , port, path = '/'] = process.argv;
const client = await Client.open({ port: Number(port), path, source: 49 });
let isWatching = false;
let taken: number[] = [];

client.onText = (text) => {
  const { data } = JSON.parse(String(text)) as { data: { at: number } };
  if (isWatching) taken.push(now() - data.at);
};
client.onClose = () => process.exit(1);
setInterval(() => client.send({ action: 'echo', request_id: 1, at: now() }), pace);

process.on('disconnect', () => process.exit());
process.on('message', ({ watch }: Order) => {
  isWatching = watch;
  if (!watch) process.send?.(taken);
  if (watch) taken = [];
});
process.send?.([]);
