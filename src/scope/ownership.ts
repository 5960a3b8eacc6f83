import { currentWork, type Work } from '../async-context.js';
import type { Identity } from './identity.js';
import type { ScopeSession, ScopeUser } from './scope-types.js';

/** Where a scope keeps its ownership. Not exported to applications, which log in through `Connections`. */
export const ownership = Symbol('ownership');

/** The user of a connection, as scope middleware or a login gave it. */
export interface UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
}

/** What a request that logs in has made of the facts. */
interface Proposal extends UserFacts {
  /** Whether it was another user at some moment of it. */
  isOther: boolean;
}

/**
 * Whose connection it is. What a login proposes is seen by the request that logs in and by nothing else, until that request has
 * succeeded: another one would be served as a user whose login then fails.
 */
export class Ownership implements UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
  /** By the requests that log in and are not answered. */
  #proposals: Map<Work, Proposal> | undefined;
  #settling: Promise<void> | undefined;

  /** The facts as the running code sees them. */
  get seen(): UserFacts {
    const work = this.#proposals && currentWork.getStore();
    return (work && this.#proposals?.get(work)) ?? this;
  }

  /** Outside of any request the facts hold at once. @returns whether the running request has proposed nothing before */
  propose({ user, session, identity }: UserFacts, isOther: boolean): boolean {
    const work = currentWork.getStore();
    if (!work) {
      Object.assign(this, { user, session, identity });
      return true;
    }
    this.#proposals ??= new Map();
    const earlier = this.#proposals.get(work);
    this.#proposals.set(work, { user, session, identity, isOther: isOther || earlier?.isOther === true });
    return !earlier;
  }

  /**
   * Ends what the request has proposed; where it succeeded, that holds for all from now on.
   *
   * @returns whether the request was another user's meanwhile
   */
  settle(work: Work | undefined, hasSucceeded: boolean): boolean {
    const proposal = work && this.#proposals?.get(work);
    if (!work || !proposal) return false;
    const { isOther, ...facts } = proposal;
    this.#proposals?.delete(work);
    if (hasSucceeded) Object.assign(this, facts);
    if (this.#proposals?.size === 0) this.#proposals = undefined;
    return isOther;
  }

  /** Whether a request that logs in is not answered. */
  get isProposed(): boolean {
    return this.#proposals !== undefined;
  }

  /** While it is open whose connection it is, no request begins. @param done never rejects */
  holdUntil(done: Promise<void>): void {
    const before = this.#settling;
    const settling = before ? Promise.all([before, done]).then(() => {}) : done;
    this.#settling = settling;
    void settling.then(() => {
      if (this.#settling === settling) this.#settling = undefined;
    });
  }

  /** Resolves once it is known whose connection it is; undefined where it is. */
  get settling(): Promise<void> | undefined {
    return this.#settling;
  }
}
