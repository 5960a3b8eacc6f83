/** Entities whose rows were written: the database may have stored something else than they hold (defaults, triggers, rounding). */
const written = new WeakSet<object>();

export function noteWritten(entity: object): void {
  written.add(entity);
}

export function wasWritten(entity: object): boolean {
  return written.has(entity);
}
