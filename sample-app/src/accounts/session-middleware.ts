import type { Scope, ScopeMiddleware } from 'signalbox';
import { injectable } from 'tsyringe';
import type { User } from '../entities/user.js';
import { Sessions } from './sessions.js';

export const SESSION_COOKIE = 'session';

declare module 'signalbox' {
  interface ScopeTypes {
    user: User;
  }
}

/** Gives every connection the user whose session its cookie names. */
@injectable()
export class SessionMiddleware implements ScopeMiddleware {
  constructor(private readonly sessions: Sessions) {}

  async apply(scope: Scope): Promise<void> {
    scope.user = await this.sessions.findUser(scope.cookies[SESSION_COOKIE]);
  }
}
