import { expect } from 'chai';
import fc from 'fast-check';

export interface Row {
  readonly id: number;
  readonly shelf: number;
  readonly count: number;
}

/** Without a shelf the row is deleted; else it is created or changed. No two writes have the same count. */
export interface Write {
  readonly pk: number;
  readonly shelf: number | undefined;
  readonly count: number;
}

/** Those within another one are savepoints. */
export interface Transaction {
  readonly parts: readonly (Write | Transaction)[];
  readonly isRolledBack: boolean;
}

export type Step =
  | { readonly kind: 'connect' | 'disconnect'; readonly client: number }
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly client: number; readonly id: string; readonly shelf: number }
  | { readonly kind: 'transaction'; readonly transaction: Transaction };

export type Script = readonly Step[];

interface Told {
  readonly action: string;
  readonly data: unknown;
}

interface Session {
  /** What each request id has to hear: one list per commit, in any order within it. */
  readonly expected: Map<string, Told[][]>;
  readonly subscribed: Map<string, number>;
  isOver: boolean;
}

let counts = 0;

const few = { minLength: 1, maxLength: 3 };
const client = fc.integer({ min: 1, max: 3 });
const shelf = fc.integer({ min: 1, max: 3 });
const write = fc
  .record({ pk: fc.integer({ min: 1, max: 3 }), shelf: fc.option(shelf, { nil: undefined, freq: 3 }) })
  .map(({ pk, shelf }) => ({ pk, shelf, count: ++counts }));
const isRolledBack = fc.integer({ min: 0, max: 3 }).map((chance) => chance === 0);

function transactionOf(part: fc.Arbitrary<Write | Transaction>): fc.Arbitrary<Transaction> {
  return fc.record({ parts: fc.array(part, few), isRolledBack });
}

const innermost = transactionOf(write);
const savepoint = transactionOf(fc.oneof({ weight: 3, arbitrary: write }, { weight: 1, arbitrary: innermost }));
export const transaction = transactionOf(
  fc.oneof({ weight: 3, arbitrary: write }, { weight: 1, arbitrary: savepoint }),
);

/** A request id always means the same shelf, so that asking twice is asking for the same. */
const subscription = fc
  .record({ client, shelf, copy: fc.constantFrom('a', 'b') })
  .map(({ client, shelf, copy }) => ({ client, shelf, id: `${shelf}${copy}` }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: client.map((client) => ({ kind: 'connect' as const, client })) },
  { weight: 1, arbitrary: client.map((client) => ({ kind: 'disconnect' as const, client })) },
  { weight: 4, arbitrary: subscription.map((given) => ({ kind: 'subscribe' as const, ...given })) },
  { weight: 2, arbitrary: subscription.map((given) => ({ kind: 'unsubscribe' as const, ...given })) },
  { weight: 6, arbitrary: transaction.map((transaction) => ({ kind: 'transaction' as const, transaction })) },
);

/** Two are there from the beginning, so that few steps come to nothing. */
export const script: fc.Arbitrary<Script> = fc
  .array(step, { minLength: 1, maxLength: 30 })
  .map((steps) => [{ kind: 'connect', client: 1 }, { kind: 'connect', client: 2 }, ...steps]);

/** The promise in its simplest form: rows, sessions, and what each subscription has to hear. */
export class World {
  private rows: ReadonlyMap<number, Row> = new Map();
  private readonly sessions: Session[] = [];
  private readonly current = new Map<number, number>();

  permits(step: Step): boolean {
    if (step.kind === 'transaction') return true;
    return this.current.has(step.client) === (step.kind !== 'connect');
  }

  /** @returns which session a connecting client begins */
  play(step: Step): number {
    switch (step.kind) {
      case 'connect':
        this.current.set(step.client, this.sessions.length);
        return this.sessions.push({ expected: new Map(), subscribed: new Map(), isOver: false }) - 1;
      case 'disconnect':
        this.sessionOf(step.client).isOver = true;
        this.current.delete(step.client);
        return -1;
      case 'subscribe':
        this.sessionOf(step.client).subscribed.set(step.id, step.shelf);
        return -1;
      case 'unsubscribe':
        this.sessionOf(step.client).subscribed.delete(step.id);
        return -1;
      case 'transaction':
        this.commit(step.transaction);
        return -1;
    }
  }

  /** A session that ended may have ended before it heard the last of it. */
  check(session: number, heard: readonly { requestId: unknown; action: string | null; data: unknown }[]): void {
    const { expected, isOver } = this.sessionAt(session);
    for (const id of new Set([...expected.keys(), ...heard.map(({ requestId }) => String(requestId))])) {
      const told = heard.filter(({ requestId }) => requestId === id).map(({ action, data }) => ({ action, data }));
      for (const commit of expected.get(id) ?? []) {
        const part = told.splice(0, commit.length);
        if (isOver && part.length < commit.length) break;
        expect(sorted(part)).to.deep.equal(sorted(commit));
      }
      expect(told).to.deep.equal([]);
    }
  }

  private commit(transaction: Transaction): void {
    const after = new Map(this.rows);
    const touched = apply(transaction, after);
    if (transaction.isRolledBack) return;
    const before = this.rows;
    this.rows = after;
    for (const session of this.sessions.filter(({ isOver }) => !isOver)) {
      for (const [id, shelf] of session.subscribed) {
        const told = [...touched].flatMap((pk) => tell(shelf, before.get(pk), after.get(pk)));
        if (told.length > 0) session.expected.set(id, [...(session.expected.get(id) ?? []), told]);
      }
    }
  }

  private sessionOf(client: number): Session {
    return this.sessionAt(this.current.get(client) ?? -1);
  }

  private sessionAt(index: number): Session {
    const session = this.sessions[index];
    if (!session) throw new Error(`There is no session ${index}.`);
    return session;
  }
}

/** @returns the rows that were written, but for what was rolled back to a savepoint */
function apply({ parts }: Transaction, rows: Map<number, Row>): Set<number> {
  const touched = new Set<number>();
  for (const part of parts) {
    if ('parts' in part) {
      const inner = new Map(rows);
      const innerTouched = apply(part, inner);
      if (part.isRolledBack) continue;
      rows.clear();
      for (const [pk, row] of inner) rows.set(pk, row);
      for (const pk of innerTouched) touched.add(pk);
      continue;
    }
    const { pk, shelf, count } = part;
    touched.add(pk);
    if (shelf === undefined) rows.delete(pk);
    else rows.set(pk, { id: pk, shelf, count });
  }
  return touched;
}

function tell(shelf: number, before: Row | undefined, after: Row | undefined): Told[] {
  const wasThere = before?.shelf === shelf;
  const isThere = after?.shelf === shelf;
  if (wasThere && !isThere) return [{ action: 'delete', data: { pk: before.id } }];
  if (isThere) return [{ action: wasThere ? 'update' : 'create', data: after }];
  return [];
}

function sorted(told: readonly unknown[]): string[] {
  return told.map((one) => JSON.stringify(one)).sort();
}
