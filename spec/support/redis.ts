import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { within } from './deadline.js';
import { lastingPort } from './ports.js';

const PLACES = [
  '/usr/bin/redis-server',
  '/usr/bin/valkey-server',
  '/usr/local/bin/redis-server',
  '/opt/homebrew/bin/redis-server',
];

/** The shell ends the server when its input ends, as it does however the specs die. */
const KEEPER = '"$@" & cat >/dev/null; kill -9 $!; wait $!';

const OPTIONS = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp', '--loglevel', 'notice'];

/**
 * For the `before` of specs that need Redis: passes them over where there is none, and fails with `CI=true`.
 * Call it as `needsRedis(this)`; what stands after it in the same hook does not run without Redis.
 */
export function needsRedis(context: Mocha.Context): void {
  if (findRedis() !== undefined) return;
  if (process.env.CI === 'true') throw new Error(missing());
  context.skip();
}

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
    const binary = findRedis();
    if (binary === undefined) throw new Error(missing());
    const server = new RedisServer(binary, await lastingPort());
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

function findRedis(): string | undefined {
  const named = process.env.REDIS_SERVER;
  if (named === undefined || named === '') return PLACES.find((path) => existsSync(path));
  if (existsSync(named)) return named;
  throw new Error(`REDIS_SERVER is ${named}, where there is no file`);
}

function missing(): string {
  return `Redis is missing: set REDIS_SERVER to the path of redis-server, or install it (Debian: apt-get install redis-server). Looked at ${PLACES.join(', ')}`;
}
