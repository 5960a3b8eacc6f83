import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { GaugeName, Gauges } from './gauges.js';

interface Answer {
  readonly id: number;
  readonly value: unknown;
}

export type ServerName = 'signalbox' | 'by-hand';

/** A server in a process of its own, and what it tells of itself. */
export class Server {
  readonly process: ChildProcess;
  readonly port: number;
  readonly #asked = new Map<number, (value: unknown) => void>();
  #questions = 0;

  private constructor(child: ChildProcess, port: number) {
    this.process = child;
    this.port = port;
    child.on('message', ({ id, value }: Answer) => {
      this.#asked.get(id)?.(value);
      this.#asked.delete(id);
    });
  }

  /** @param url of an empty database @param settings of the application that are not those of the other bars */
  static async start(name: ServerName, url = '', settings: object = {}): Promise<Server> {
    const program = fileURLToPath(new URL(`${name}-server.js`, import.meta.url));
    const child = fork(program, [url, JSON.stringify(settings)], { execArgv: ['--expose-gc'] });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`The server ${name} did not start.`);
    });
    const [{ port }] = (await Promise.race([once(child, 'message'), failed])) as [{ port: number }];
    failed.catch(() => {});
    return new Server(child, port);
  }

  ask<Name extends GaugeName>(gauge: Name): Promise<Awaited<ReturnType<Gauges[Name]>>> {
    const id = this.#questions++;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve as (value: unknown) => void);
      this.process.send({ id, gauge });
    });
  }

  /** Microseconds of processor time that the server takes for a work. */
  async cpuOf(work: () => Promise<unknown>): Promise<number> {
    const before = await this.ask('cpu');
    await work();
    const after = await this.ask('cpu');
    return after.user + after.system - before.user - before.system;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}
