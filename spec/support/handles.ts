import { once } from 'node:events';
import { patience } from './deadline.js';

/** What keeps the process alive: sockets, servers and timers, by name. */
export async function openHandles(): Promise<readonly string[]> {
  // Mocha sets the timer of a spec when its synchronous part is over.
  await nextTurn();
  return namesOfHandles();
}

function namesOfHandles(): string[] {
  const handles = process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout|Immediate/.test(name));
  return handles.sort();
}

/** Waits for what is closed to be gone, as it is a few turns of the event loop later. */
export async function handlesWithout(before: readonly string[]): Promise<readonly string[]> {
  const end = Date.now() + patience;
  while (extra(before).length > 0 && Date.now() < end) await nextTurn();
  return extra(before);
}

function extra(before: readonly string[]): readonly string[] {
  const left = [...before];
  return namesOfHandles().filter((name) => {
    const index = left.indexOf(name);
    if (index !== -1) left.splice(index, 1);
    return index === -1;
  });
}

async function nextTurn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  port2.postMessage(undefined);
  await once(port1, 'message');
  port1.close();
}
