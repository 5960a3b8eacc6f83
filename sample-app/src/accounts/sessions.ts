import { createHash, randomBytes } from 'node:crypto';
import { EntityManager } from '@mikro-orm/core';
import { Clock } from 'signalbox';
import { injectable } from 'tsyringe';
import { Session } from '../entities/session.js';
import type { User } from '../entities/user.js';

const DAYS_OF_A_SESSION = 14;
const DAY = 24 * 60 * 60 * 1000;

export interface OpenedSession {
  readonly token: string;
  readonly expiresAt: Date;
}

@injectable()
export class Sessions {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {}

  async open(user: User): Promise<OpenedSession> {
    const token = randomBytes(32).toString('base64url');
    const expiresAt = new Date(this.clock.now().getTime() + DAYS_OF_A_SESSION * DAY);
    await this.em.nativeDelete(Session, { expiresAt: { $lte: this.clock.now() } });
    await this.em.insert(Session, { id: idOf(token), user, expiresAt });
    return { token, expiresAt };
  }

  async findUser(token: string | undefined): Promise<User | undefined> {
    if (!token) return undefined;
    const live = { id: idOf(token), expiresAt: { $gt: this.clock.now() } };
    const session = await this.em.findOne(Session, live, { populate: ['user'] });
    return session?.user;
  }

  async close(token: string | undefined): Promise<void> {
    if (token) await this.em.nativeDelete(Session, { id: idOf(token) });
  }
}

function idOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
