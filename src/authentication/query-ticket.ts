import { injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { authenticateStated } from './authentication.js';
import { Tickets } from './tickets.js';

/**
 * Scope middleware: a ticket in the query, `/ws/?ticket=…`. It is good for one upgrade of the page that it was issued to, and
 * gone from `scope.query` afterwards. One that is not valid is refused with 401.
 */
export function queryTicket({ parameter = 'ticket' }: { readonly parameter?: string } = {}): ScopeMiddlewareClass {
  @injectable()
  class QueryTicket implements ScopeMiddleware {
    constructor(
      private readonly tickets: Tickets,
      private readonly clock: Clock,
    ) {}

    async apply(scope: Scope): Promise<void> {
      const ticket = scope.query.get(parameter);
      scope.query.delete(parameter);
      if (scope.identity || ticket === null) return;
      const identity = await this.tickets.redeem(ticket, scope.headers['origin']);
      authenticateStated(scope, identity, { now: this.clock.now(), kind: 'ticket' });
    }
  }
  return QueryTicket;
}
