import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';

const main = resolve(import.meta.dirname, '../../src/main.js');
const TIME_TO_START = 60_000;
const TIME_TO_BE_PUT_AWAY = 10_000;

export interface Program {
  /** Default: `node dist/src/main.js`. */
  readonly command?: readonly [string, ...string[]];
  readonly folder?: string;
  /** Whether it leads a process group of its own, like a program that is started in a terminal. Default: false. */
  readonly leadsGroup?: boolean;
  /** Whether it has a channel to this process, as the app has to dev.js. Default: false. */
  readonly hasChannel?: boolean;
}

/** The app as its own process, and everything that it prints. */
export class RunningApp {
  output = '';
  private readonly child: ChildProcess;
  private readonly exit: Promise<number | null>;

  constructor(env: Readonly<Record<string, string>>, { command = [process.execPath, main], ...program }: Program = {}) {
    const { DATABASE_URL: _, ...inherited } = process.env;
    const [file, ...args] = command;
    this.child = spawn(file, args, {
      env: { ...inherited, PORT: '0', ...env },
      ...(program.folder ? { cwd: program.folder } : {}),
      detached: program.leadsGroup ?? false,
      ...(program.hasChannel ? { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] } : {}),
    });
    // Node emits no 'close' for a child whose channel was closed from this side.
    this.exit = once(this.child, program.hasChannel ? 'exit' : 'close').then(() => this.child.exitCode);
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

  /** Presses Enter in its terminal. */
  pressEnter(): void {
    this.child.stdin?.write('\n');
  }

  /** The address where it listens; rejects with its output if it ends before. */
  async address(): Promise<string> {
    const [, address = ''] = await this.prints(/Open (http:\S+)/);
    return address;
  }

  /** Resolves when it has printed this, after the first `from` characters; rejects with its output if it ends before. */
  async prints(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(TIME_TO_START);
    for (;;) {
      const found = pattern.exec(this.output.slice(from));
      if (found) return found;
      const hasEnded = this.exit.then(() => {
        throw new Error(`The app has ended:\n${this.output}`);
      });
      const isLate = once(this.child, 'output', { signal: deadline }).catch(() => {
        throw new Error(`In ${TIME_TO_START} ms the app did not print ${pattern}, only:\n${this.output}`);
      });
      await Promise.race([isLate, hasEnded]);
    }
  }

  /** The exit code, when it and every process that it started have ended by themselves. */
  ended(): Promise<number | null> {
    return this.exit;
  }

  /** Sends Ctrl+C to every process of its group, as a terminal does, and resolves when all have ended. */
  async interruptGroup(): Promise<number | null> {
    process.kill(-this.pid, 'SIGINT');
    const code = await this.ended();
    await this.groupEnded();
    return code;
  }

  /** Kills all processes of its group. */
  endGroup(): void {
    if (this.isGroupRunning()) process.kill(-this.pid, 'SIGKILL');
  }

  async closeChannel(): Promise<void> {
    this.child.disconnect();
    await once(this.child, 'disconnect');
  }

  /** The exit code; null if the signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exit;
  }

  private isGroupRunning(): boolean {
    try {
      return process.kill(-this.pid, 0);
    } catch {
      return false;
    }
  }

  /** A process that has closed its output is in its group until the system has removed it. */
  private async groupEnded(): Promise<void> {
    const deadline = AbortSignal.timeout(TIME_TO_BE_PUT_AWAY);
    while (this.isGroupRunning()) {
      if (deadline.aborted) throw new Error(`A process of the group ${this.pid} goes on.`);
      await setImmediate();
    }
  }
}
