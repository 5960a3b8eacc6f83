import {
  Action,
  type ActionContext,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  IsAuthenticated,
  type Permission,
  Permissions,
  type Scope,
  type ScopeMiddleware,
  type ScopeTypes,
} from 'signalbox';
import { type ConnectOptions, connect } from 'signalbox/testing';
import { User } from './entities.js';
import { same, some } from './support.js';

class Session {
  readonly token: string = '';
}

declare module 'signalbox' {
  interface ScopeTypes {
    user: User;
    session: Session;
  }
}

same<ScopeTypes['user'], User>();
same<Scope['user'], User | undefined>();
same<Scope['session'], Session | undefined>();
same<ActionContext['scope']['user'], User | undefined>();
same<NonNullable<ConnectOptions['user']>, User>();
same<NonNullable<ConnectOptions['session']>, Session>();
// @ts-expect-error the application said what its user is
same<Scope['user'], unknown>();

class SessionMiddleware implements ScopeMiddleware {
  async apply(scope: Scope) {
    scope.user = some<User>();
    scope.session = some<Session>();
    // @ts-expect-error a name is no user
    scope.user = 'ann';
    // @ts-expect-error facts of the handshake stay as they are
    scope.path = '/';
  }
}
class IsAnn implements Permission {
  hasPermission({ scope }: ActionContext) {
    // @ts-expect-error nobody may be logged in
    scope.user.username;
    // @ts-expect-error a user has no such property
    scope.user?.name;
    return scope.user?.username === 'ann';
  }
}
some<SessionMiddleware | IsAnn>();

@Consumer()
@Permissions(IsAuthenticated)
class Greeter extends ApiConsumer {
  @Action() greet() {
    same<typeof this.user, User>();
    // @ts-expect-error a user has no such property
    this.user.name;
    // @ts-expect-error who is logged in is set by the middleware
    this.user = some<User>();
    return `Hello ${this.user.username}`;
  }
}
@Consumer()
class Guests extends ApiConsumer {
  @Action() greet() {
    // @ts-expect-error nobody may be logged in
    return `Hello ${this.scope.user.username}`;
  }
}
// @ts-expect-error it is no action
some<ConsumerApi<Greeter>['actions']>().user;
some<Guests>();

await connect(some(), '/ws/', { user: some<User>(), session: some<Session>() });
// @ts-expect-error a name is no user
await connect(some(), '/ws/', { user: 'ann' });
// @ts-expect-error a token is no session
await connect(some(), '/ws/', { session: 'abc' });
