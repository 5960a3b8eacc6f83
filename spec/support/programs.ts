import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { within } from './deadline.js';

/** What a program does for the process that started it, by name. */
export type Commands = Readonly<Record<string, (...parameters: never[]) => unknown>>;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly parameters: readonly never[];
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Begins to serve the process that started this one. @param ready what that is told first */
export function serveCommands(commands: Commands, ready: object): void {
  process.on('message', (question: Question) => void answer(commands, question));
  process.on('disconnect', () => process.exit());
  process.send?.({ ready });
}

async function answer(commands: Commands, { id, name, parameters }: Question): Promise<void> {
  try {
    process.send?.({ id, value: await commands[name]?.(...parameters) } satisfies Answer);
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

/** A program in a process of its own. */
export class Program<Offered extends Commands, Ready extends object = object> implements AsyncDisposable {
  readonly #questions = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #exited: Promise<unknown>;
  #asked = 0;

  private constructor(
    private readonly child: ChildProcess,
    readonly ready: Ready,
  ) {
    this.#exited = once(child, 'exit').then(([code, signal]) => this.#failAll(`ended with ${code ?? signal}`));
    child.on('message', (answer: Answer) => this.#take(answer));
  }

  /** @param options the program's, as JSON in its first argument */
  static async start<Offered extends Commands, Ready extends object = object>(
    file: URL,
    options: object,
  ): Promise<Program<Offered, Ready>> {
    // What is loaded first here, such as a planted bug, is loaded first there too.
    const child = fork(file, [JSON.stringify(options)]);
    const failed = once(child, 'exit').then(() => {
      throw new Error(`The program ${file.pathname} did not start.`);
    });
    const [{ ready }] = (await within(
      Promise.race([once(child, 'message'), failed]),
      `The start of ${file.pathname}`,
    )) as [{ ready: Ready }];
    failed.catch(() => {});
    // One that a failed spec has left does not keep mocha from ending, and ends with it.
    child.unref();
    child.channel?.unref();
    return new Program<Offered, Ready>(child, ready);
  }

  /** @throws Error with what the program threw, or where it ends */
  ask<Name extends keyof Offered & string>(
    name: Name,
    ...parameters: Parameters<Offered[Name]>
  ): Promise<Awaited<ReturnType<Offered[Name]>>> {
    const question = Promise.withResolvers<unknown>();
    const id = this.#asked++;
    this.#questions.set(id, question);
    this.child.send({ id, name, parameters }, (error) => error && this.#take({ id, error: error.message }));
    return question.promise as Promise<Awaited<ReturnType<Offered[Name]>>>;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** It does nothing until it is resumed; the system keeps its sockets open. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** Resolves when it has ended. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Asks it to end. */
  async terminate(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended;
  }

  get ended(): Promise<unknown> {
    return within(this.#exited, 'The end of another process');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #take({ id, value, error }: Answer): void {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    if (error === undefined) question?.resolve(value);
    else question?.reject(new Error(error));
  }

  #failAll(reason: string): void {
    for (const { reject } of this.#questions.values()) reject(new Error(`The other process ${reason}.`));
    this.#questions.clear();
  }
}
