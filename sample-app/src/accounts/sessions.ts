import { createHash, randomBytes } from 'node:crypto';
import { EntityManager } from '@mikro-orm/core';
import { type Authentication, Clock, type SessionStore } from 'signalbox';
import { injectable } from 'tsyringe';
import { Session } from '../entities/session.js';
import type { User } from '../entities/user.js';

export const SESSION_COOKIE = 'session';

const DAYS_OF_A_SESSION = 14;
const DAY = 24 * 60 * 60 * 1000;

declare module 'signalbox' {
  interface ScopeTypes {
    user: User;
  }
}

/** The session's user. */
export interface LiveSession extends Authentication {
  readonly user: User;
}

export interface OpenedSession {
  readonly token: string;
  readonly expiresAt: Date;
}

/** Finds the user for the token in a browser's cookie, for sockets and for HTTP. */
@injectable()
export class Sessions implements SessionStore {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {}

  async open(user: User): Promise<OpenedSession> {
    const now = this.clock.now();
    const token = randomBytes(32).toString('base64url');
    const expiresAt = new Date(now.getTime() + DAYS_OF_A_SESSION * DAY);
    this.em.remove(await this.em.find(Session, { expiresAt: { $lte: now } }));
    this.em.create(Session, { id: idOf(token), user, expiresAt });
    await this.em.flush();
    return { token, expiresAt };
  }

  async find(token: string): Promise<LiveSession | undefined> {
    const live = { id: idOf(token), expiresAt: { $gt: this.clock.now() } };
    const session = await this.em.findOne(Session, live, { populate: ['user'] });
    if (!session) return undefined;
    const { id, user, expiresAt } = session;
    return { userId: String(user.id), sessionId: id, expiresAt, user };
  }

  /** Deletes the session through the unit of work, which reports the change: the sockets of the session are closed. */
  async close(token: string): Promise<void> {
    const session = await this.em.findOne(Session, idOf(token));
    if (session) await this.em.remove(session).flush();
  }
}

function idOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
