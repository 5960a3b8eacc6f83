/**
 * `npm run bench:processes`: what it takes from a commit in one process to a frame of another one, what messages between processes
 * cost beside Socket.IO, what many readers of one log cost, and what observers cost whose events nobody wants. `npm run bench:processes -- readers --readers 10 --rates 100,1000`.
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../../spec/support/postgres.js';
import { measureLatency } from './latency.js';
import { measureMessages } from './messages.js';
import { measureObservers } from './observers.js';
import { measureReaders } from './readers.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    rate: { type: 'string' },
    sockets: { type: 'string' },
    window: { type: 'string', default: '64' },
    readers: { type: 'string', default: '10' },
    rates: { type: 'string', default: '50,200,500,1000,2000' },
    gather: { type: 'string', default: '0' },
    writes: { type: 'string', default: '1500' },
    poll: { type: 'boolean', default: false },
  },
});
const isChosen = (name: string): boolean => positionals.length === 0 || positionals.includes(name);
const postgres = await startPostgres();
if (isChosen('latency'))
  await measureLatency(postgres, {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    rate: Number(values.rate ?? 50),
    sockets: Number(values.sockets ?? 1),
  });
if (isChosen('messages'))
  await measureMessages(postgres, {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    rate: Number(values.rate ?? 100),
    sockets: Number(values.sockets ?? 100),
    window: Number(values.window),
  });
if (isChosen('readers'))
  await measureReaders(postgres, {
    readers: Number(values.readers),
    seconds: Number(values.seconds),
    rates: values.rates.split(',').map(Number),
    listen: !values.poll,
    gather: Number(values.gather),
  });
if (isChosen('observers'))
  await measureObservers(postgres, { rounds: Number(values.rounds), writes: Number(values.writes) });
await postgres.stop();
