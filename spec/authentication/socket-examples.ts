import type { MikroORM } from '@mikro-orm/core';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Connections,
  Consumer,
  closeOn,
  createApp,
  NotAuthenticated,
  path,
  recheckOn,
  Signal,
} from 'signalbox';
import type { DependencyContainer } from 'tsyringe';
import { Account, Accounts, Session, Sessions } from './examples.js';

class Token {
  @IsString() token!: string;
}

@Consumer()
export class AccountConsumer extends ApiConsumer {
  constructor(
    private readonly sessions: Sessions,
    private readonly connections: Connections,
  ) {
    super();
  }

  @Action()
  async login({ token }: Token, { scope }: ActionContext) {
    const proven = await this.proven(token);
    await this.connections.login(scope, proven.user, proven);
  }

  @Action()
  async refresh({ token }: Token, { scope }: ActionContext) {
    this.connections.refresh(scope, await this.proven(token));
  }

  @Action()
  async logout({ scope }: ActionContext) {
    await this.connections.logout(scope);
  }

  private async proven(token: string) {
    const proven = await this.sessions.find(token);
    if (!proven) throw new NotAuthenticated('The token is not valid.');
    return proven;
  }

  protected override async onUserChange() {
    const { identity } = this.scope;
    if (identity) await this.addGroup(`account-${identity.userId}`);
  }
}

export const banned = new Signal<{ account: number; why: string }>();

export function accountApp(orm: MikroORM, container: DependencyContainer): App {
  const routes = [path('/account/', AccountConsumer)];
  return createApp({
    orm,
    container,
    routes,
    users: Accounts,
    connections: [
      closeOn(Session, { session: ({ id }) => id, on: ['delete'] }),
      closeOn(banned, { user: ({ account }) => account, code: 4403, reason: 'You were banned.' }),
      recheckOn(Account, { user: ({ id }) => id, changed: ['active'] }),
    ],
  });
}
