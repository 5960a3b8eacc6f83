import { EntityManager, UniqueConstraintViolationException } from '@mikro-orm/core';
import { NotAuthenticated, ValidationFailed } from 'signalbox';
import { injectable } from 'tsyringe';
import { User } from '../entities/user.js';
import type { Credentials, NewCredentials } from './credentials.js';
import { Passwords } from './passwords.js';

/** One sentence for both mistakes, so that it does not reveal which user names exist. */
export class WrongCredentials extends NotAuthenticated {
  static override readonly code = 'wrong_credentials';
  static override readonly detail = 'The user name or the password is wrong.';
}

@injectable()
export class Accounts {
  constructor(
    private readonly em: EntityManager,
    private readonly passwords: Passwords,
  ) {}

  async signUp({ username, password }: NewCredentials): Promise<User> {
    const passwordHash = await this.passwords.hash(password);
    const user = this.em.create(User, { username, passwordHash });
    try {
      await this.em.flush();
    } catch (error) {
      if (!(error instanceof UniqueConstraintViolationException)) throw error;
      throw ValidationFailed.of({ username: ['This user name is taken.'] });
    }
    return user;
  }

  /** Whether there are any accounts. */
  async exist(): Promise<boolean> {
    return (await this.em.find(User, {}, { fields: ['id'], limit: 1 })).length > 0;
  }

  async logIn({ username, password }: Credentials): Promise<User> {
    const user = await this.em.findOne(User, { username });
    const matches = await this.passwords.verify(user?.passwordHash, password);
    if (!user || !matches) throw new WrongCredentials();
    return user;
  }
}
