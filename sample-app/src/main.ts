import 'reflect-metadata';
import { print } from './print.js';
import { readSettings, StartError } from './settings.js';
import { type Running, start } from './start.js';

/** Milliseconds after which a process that does not stop is ended. */
const TIME_TO_STOP = 10_000;
/** Milliseconds for a drain: more than the setting drain.timeLimit, which is 28 seconds by default, and the time to close. */
const TIME_TO_DRAIN = 32_000;

function fail(error: unknown): never {
  const text = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/**
 * SIGINT (Ctrl+C) stops cleanly. SIGTERM, which supervisors send, lets clients leave first. The second signal, or an end that
 * takes too long, ends the process at once. dev.js stops the app by closing its end of their channel, which also closes when
 * dev.js is killed. It sends no signal, because Ctrl+C reaches both, in either order.
 */
function stopOnSignal({ stop, drain }: Running): void {
  let isStopping = false;
  let signals = 0;
  const begin = (end: () => Promise<void>, time: number) => {
    print('Stopping');
    setTimeout(() => process.exit(1), time).unref();
    end().then(() => process.exit(0), fail);
  };
  /** Also interrupts a drain. */
  const beginStop = () => {
    if (isStopping) return;
    isStopping = true;
    begin(stop, TIME_TO_STOP);
  };
  const onSignal = (first: () => void) => {
    signals += 1;
    if (signals > 1) process.exit(1);
    if (!isStopping) first();
  };
  process.on('SIGINT', () => onSignal(beginStop));
  process.on('SIGTERM', () => onSignal(() => begin(drain, TIME_TO_DRAIN)));
  process.on('disconnect', beginStop);
  if (process.connected === false) beginStop();
}

try {
  const running = await start(readSettings(process.env));
  stopOnSignal(running);
  print(`Listening. Open ${running.address} in your browser; stop with Ctrl+C.`);
} catch (error) {
  fail(error);
}
