import 'reflect-metadata';
import { print } from './print.js';
import { readSettings, StartError } from './settings.js';
import { type Running, start } from './start.js';

const TIME_TO_STOP = 10_000;

function fail(error: unknown): never {
  const text = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/**
 * The first signal stops cleanly; the second, or a stop that takes too long, at once. dev.js stops the app by closing its end of
 * their channel, which also closes when dev.js is killed. That is no signal: Ctrl+C reaches both, in either order.
 */
function stopOnSignal({ stop }: Running): void {
  let isStopping = false;
  let signals = 0;
  const begin = () => {
    if (isStopping) return;
    isStopping = true;
    print('Stopping');
    setTimeout(() => process.exit(1), TIME_TO_STOP).unref();
    stop().then(() => process.exit(0), fail);
  };
  const onSignal = () => {
    signals += 1;
    if (signals > 1) process.exit(1);
    begin();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('disconnect', begin);
  if (process.connected === false) begin();
}

try {
  const running = await start(readSettings(process.env));
  stopOnSignal(running);
  print(`Listening. Open ${running.address} in your browser; stop with Ctrl+C.`);
} catch (error) {
  fail(error);
}
