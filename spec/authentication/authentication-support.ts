import {
  Action,
  ActionContext,
  ApiConsumer,
  type Authentication,
  Consumer,
  IsAuthenticated,
  Permissions,
  type SessionStore,
  type TokenVerifier,
  type UserStore,
} from 'signalbox';

export const inAnHour = new Date('2026-01-01T01:00:00Z');

/** What was asked for, in its order. */
export const asked: string[] = [];

const proofs: Readonly<Record<string, Authentication>> = {
  ann: { userId: '1', sessionId: 's1', expiresAt: inAnHour, session: { key: 's1' } },
  bob: { userId: '2', user: { name: 'bob' } },
  old: { userId: '1', expiresAt: new Date('2025-12-31T23:59:59Z') },
  gone: { userId: '9', sessionId: 's9', session: { key: 's9' } },
};

export class Sessions implements SessionStore {
  async find(token: string): Promise<Authentication | null> {
    asked.push(`session ${token}`);
    return proofs[token] ?? null;
  }
}

export class ApiTokens implements TokenVerifier {
  async verify(token: string): Promise<Authentication | undefined> {
    asked.push(`token ${token}`);
    if (token === 'broken') throw new Error(`The database has no ${token}.`);
    return proofs[token];
  }
}

export class Users implements UserStore {
  async find(userId: string): Promise<object | null> {
    asked.push(`user ${userId}`);
    return userId === '9' ? null : { id: userId };
  }
}

@Consumer()
export class WhoConsumer extends ApiConsumer {
  @Action()
  async who({ scope }: ActionContext) {
    const { user = null, session = null, identity = null, subprotocols } = scope;
    return { user, session, identity, subprotocols, query: String(scope.query) };
  }
}

@Consumer({ subprotocols: ['chat.v2'] })
export class ChatConsumer extends WhoConsumer {}

@Permissions(IsAuthenticated)
@Consumer()
export class MemberConsumer extends WhoConsumer {}
