import { readFileSync } from 'node:fs';

/** A pid may be reused after its process ended; together with the time of its start it is unique. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The boot and the clock tick of the start if /proc shows them, else null. */
  readonly startedAt: string | null;
}

export function identifyProcess(pid: number): ProcessIdentity {
  return { pid, startedAt: readStatus(pid)?.startedAt ?? null };
}

export function isRunning(identity: ProcessIdentity): boolean {
  if (!answersSignals(identity.pid)) return false;
  const status = readStatus(identity.pid);
  if (!status) return true;
  if (status.isZombie) return false;
  return identity.startedAt === null || identity.startedAt === status.startedAt;
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readStatus(pid: number): { startedAt: string; isZombie: boolean } | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may contain spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { startedAt: `${boot}/${fields[19]}`, isZombie: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return undefined;
  }
}
