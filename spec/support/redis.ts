import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { within } from './deadline.js';
import { Installed } from './installed.js';
import { lastingPort } from './ports.js';

const redis = new Installed('Redis', 'REDIS_SERVER', 'redis-server', [
  '/usr/bin/redis-server',
  '/usr/bin/valkey-server',
  '/usr/local/bin/redis-server',
  '/opt/homebrew/bin/redis-server',
]);

/** Call it first: `needsRedis(this)`. */
export const needsRedis = (context: Mocha.Context): void => redis.neededBy(context);

/** The shell ends the server when its input ends, as it does however the specs die. */
const KEEPER = '"$@" & cat >/dev/null; kill -9 $!; wait $!';

const OPTIONS = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp', '--loglevel', 'notice'];

/** A private Redis: empty, on a port of its own, gone with this process. */
export class RedisServer {
  readonly port: number;
  readonly #binary: string;
  #keeper: ChildProcess | undefined;

  private constructor(binary: string, port: number) {
    this.#binary = binary;
    this.port = port;
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(redis.path, await lastingPort());
    await server.resume();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again under the same address, unless it runs; nothing of before is left. */
  async resume(): Promise<void> {
    if (this.#keeper) return;
    const command = [this.#binary, '--port', String(this.port), ...OPTIONS];
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', ...command], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#keeper = keeper;
    const lines = createInterface(keeper.stdout);
    const ready = new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => /ready to accept connections/i.test(line) && resolve());
      keeper.once('exit', () => reject(new Error(`${this.#binary} did not start.`)));
    });
    await within(ready, 'Redis');
  }

  /** Ends it at once, like a crash. */
  async kill(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = undefined;
    if (!keeper) return;
    const exited = once(keeper, 'exit');
    keeper.stdin?.end();
    await exited;
  }
}
