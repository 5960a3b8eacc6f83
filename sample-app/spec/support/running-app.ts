import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const main = resolve(import.meta.dirname, '../../src/main.js');
const TIME_TO_START = 60_000;

/** `node dist/src/main.js` as its own process, and everything that it prints. */
export class RunningApp {
  output = '';
  private readonly child: ChildProcess;
  private readonly exit: Promise<number | null>;

  constructor(env: Readonly<Record<string, string>>) {
    const { DATABASE_URL: _, ...inherited } = process.env;
    this.child = spawn(process.execPath, [main], { env: { ...inherited, PORT: '0', ...env } });
    this.exit = once(this.child, 'close').then(() => this.child.exitCode);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
        this.child.emit('output');
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Where it listens; rejects with what it printed when it ends before. */
  async address(): Promise<string> {
    const deadline = AbortSignal.timeout(TIME_TO_START);
    for (;;) {
      const [, address] = /Open (http:\S+)/.exec(this.output) ?? [];
      if (address) return address;
      const hasEnded = this.exit.then(() => {
        throw new Error(`The app has ended:\n${this.output}`);
      });
      await Promise.race([once(this.child, 'output', { signal: deadline }), hasEnded]);
    }
  }

  /** The exit code, once it has ended by itself. */
  ended(): Promise<number | null> {
    return this.exit;
  }

  /** The exit code; null where the signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exit;
  }
}
