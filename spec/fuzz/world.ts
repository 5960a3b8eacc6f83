/** Who may log in. Connections without a user are those of `nobody`. */
export const people = ['ann', 'bob', 'eve'] as const;
export const nobody = 'nobody';
export const owners = [...people, nobody] as const;
export const topics = ['topic-a', 'topic-b'] as const;

/** The right to connect to the stream `club`. The others are rights to topics. */
export const welcome = 'welcome';
export const rightNames = [welcome, ...topics] as const;

export interface SecretColumns {
  readonly id: number;
  readonly owner: string;
  readonly topic: string;
  /** The moment before its last write began. */
  readonly at: number;
  /** Who had the right to its topic when its last write was committed, by name, with spaces between. */
  readonly readers: string;
  /** Who was welcome in the club then. */
  readonly guests: string;
}

interface Grant {
  readonly user: string;
  readonly name: string;
  /** When it was committed; undefined while that is not known. */
  end: number | undefined;
}

/** An order to disconnect a user. */
export interface Kick {
  readonly user: string;
  readonly begin: number;
  /** When it was resolved: it holds in every process for all that is committed later. */
  end: number | undefined;
}

/** What all processes, clients and writers of a run share: the moments, the gates, and what was granted when. */
export class World {
  readonly #grants: Grant[] = [];
  readonly #gates: (() => void)[] = [];
  #areGatesOpen = false;
  #moment = 0;
  #lastId = 0;
  /** All that ever owned a row. A delete tells no more than its key. */
  readonly ownersOf = new Map<number, Set<string>>();
  readonly topicsOf = new Map<number, Set<string>>();
  readonly kicks: Kick[] = [];
  /** The moment at which the handshake of a client was under way, by its name. */
  readonly handshakes = new Map<string, number>();

  /** A number for now. Later ones are larger, in every process: there is one clock. */
  moment(): number {
    this.#moment += 1;
    return this.#moment;
  }

  /** Another round: whatever came before is over and forgotten. */
  begin(): void {
    this.#areGatesOpen = false;
    this.#grants.length = 0;
    this.kicks.length = 0;
    this.handshakes.clear();
    this.ownersOf.clear();
    this.topicsOf.clear();
  }

  newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  noteRow(id: number, owner: string, topic: string): void {
    this.ownersOf.set(id, (this.ownersOf.get(id) ?? new Set()).add(owner));
    this.topicsOf.set(id, (this.topicsOf.get(id) ?? new Set()).add(topic));
  }

  /** Code of the application waits here until `openGates`. */
  async gate(): Promise<void> {
    if (!this.#areGatesOpen) await new Promise<void>((resolve) => this.#gates.push(resolve));
  }

  openGates(): void {
    for (const open of this.#gates.splice(0)) open();
  }

  /** From now on nothing waits at a gate. */
  removeGates(): void {
    this.#areGatesOpen = true;
    this.openGates();
  }

  /** A kick that begins now. */
  kicking(user: string): Kick {
    const kick: Kick = { user, begin: this.moment(), end: undefined };
    this.kicks.push(kick);
    return kick;
  }

  /** @returns what to call once it is committed */
  granting(user: string, name: string): () => void {
    const grant: Grant = { user, name, end: undefined };
    this.#grants.push(grant);
    return () => {
      grant.end = this.moment();
    };
  }

  /**
   * Whether a user may know what was written at a moment, by when it is heard: who had the right when that was committed, and who
   * was granted it since. A permission is asked about now, and not about then.
   */
  mayKnow(user: string, name: string, holders: string, at: number): boolean {
    if (holders.split(' ').includes(user)) return true;
    return this.#grants.some(
      (grant) => grant.user === user && grant.name === name && (grant.end === undefined || grant.end > at),
    );
  }
}
