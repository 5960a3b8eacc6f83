import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Bystander {
  /** What the requests took, in milliseconds, that were answered during a work. */
  during(work: () => Promise<unknown>): Promise<readonly number[]>;
  stop(): void;
}

/** Somebody in a process of its own who asks all the time. */
export async function startBystander(port: number, path: string): Promise<Bystander> {
  const child = fork(fileURLToPath(new URL('bystander.js', import.meta.url)), [String(port), path]);
  await once(child, 'message');
  return {
    async during(work) {
      child.send({ watch: true });
      await work();
      const told = once(child, 'message');
      child.send({ watch: false });
      const [taken] = (await told) as [number[]];
      return taken;
    },
    stop: () => child.disconnect(),
  };
}
